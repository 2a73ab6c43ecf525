"""Dashboards for Kibana and OpenSearch Dashboards: one model (`model`, `boards`), two forms (`classic`, `lens`)."""
