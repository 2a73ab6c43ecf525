"""`glassfs elastic`: what has to do with Elasticsearch and OpenSearch; one verb, one file, imported when asked for."""

from __future__ import annotations

import signal

import click

from glassfs.cli.screen import color_option
from glassfs.cli.verbs import Verbs

VERBS = {
    "setup": "Make the templates, and the policy that deletes old indices.",
    "status": "Show what was seen, shipped and refused, and how far behind it is.",
    "ship": "Load one finished trace, with a progress bar.",
    "dashboards": "Write the dashboards for Kibana and OpenSearch Dashboards as files.",
    "prune": "Delete indices of ours past their age.",
}


@click.group(cls=Verbs, modules=__name__, verbs=VERBS)
@color_option
def elastic() -> None:
    """Ship traces to Elasticsearch or OpenSearch.

    \b
    glassfs elastic setup          once, before the first trace is shipped
    glassfs elastic ship @last     one trace; `glassfs serve` ships all, live
    """
    # A server that cuts a connection is an error with a message, not the end of the process.
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
