// Metricbeat 7.17.28 with its system module and nothing else.
package main

import (
	"os"

	"github.com/elastic/beats/v7/libbeat/cmd"
	"github.com/elastic/beats/v7/libbeat/cmd/instance"
	"github.com/elastic/beats/v7/metricbeat/beater"

	// Each metricset registers itself.
	_ "github.com/elastic/beats/v7/metricbeat/module/system"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/cpu"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/diskio"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/filesystem"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/load"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/memory"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/network"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/process"
	_ "github.com/elastic/beats/v7/metricbeat/module/system/process_summary"
)

func main() {
	metricbeat := cmd.GenRootCmdWithSettings(beater.DefaultCreator(), instance.Settings{
		Name:        "metricbeat",
		IndexPrefix: "metricbeat",
	})
	if metricbeat.Execute() != nil {
		os.Exit(1)
	}
}
