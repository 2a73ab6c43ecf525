"""The command line: one verb, one file, imported when it is asked for.

Only this package prints and exits. It holds no SQL and knows no trace files; `failures` says how an error ends.
"""

from __future__ import annotations

import click

from glassfs.cli import failures
from glassfs.cli.screen import color_option
from glassfs.cli.verbs import Verbs

# Each verb is the function of that name in the module of that name. The words stand here, so that
# `glassfs --help` imports none of them.
VERBS = {
    "run": "Trace one command and print what it did.",
    "mount": "Mount a directory, traced, until it is unmounted.",
    "umount": "Unmount what `mount` has mounted.",
    "report": "Show what a trace holds: classes, files, processes, errors.",
    "calls": "Print a trace call by call, as strace would; -f follows.",
    "sql": "Ask a trace in SQL.",
    "names": "Ask a database which file is which table or index.",
    "traces": "List, remove and prune traces.",
    "serve": "Record the machine's figures and ship traces, until it is stopped.",
    "elastic": "Set up Elasticsearch or OpenSearch, ship traces to it, show how far it is.",
    "config": "Check config.yml; show settings and where each comes from.",
    "doctor": "Check what works here, and say how to fix what does not.",
    "version": "Print the versions of glassfs, recorder and schema.",
}

SETTINGS = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


@click.group(cls=Verbs, modules=__name__, verbs=VERBS, context_settings=SETTINGS)
@color_option
def cli() -> None:
    """See what a program does to its files, call by call, with nothing lost unseen.

    \b
    glassfs run -- make            trace a command in this directory
    glassfs report @last --calls   look at it again; @last is the newest trace
    """


def main() -> None:
    """The entry point: runs a verb and ends the process with its status."""
    failures.end_with(lambda: cli.main(prog_name="glassfs", standalone_mode=False))
