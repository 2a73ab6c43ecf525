"""`glassfs elastic setup`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import click

from glassfs.cli.configured import loaded, settings_options
from glassfs.cli.elastic.connected import connected
from glassfs.cli.elastic.dashboards import bring
from glassfs.cli.reading import ends_quietly
from glassfs.cli.screen import answer_json, color_option, json_option, shown, talk

if TYPE_CHECKING:
    from glassfs.config.model import Elastic
    from glassfs.elastic.setup import Plan, Step


@click.command()
@settings_options
@click.option("--kibana", metavar="URL", help="Bring the dashboards into this Kibana or OpenSearch Dashboards, too.")
@click.option("--space", metavar="NAME", help="With --kibana: into this space of Kibana.")
@click.option("--dry-run", is_flag=True, help="Print the requests as they would be sent, and send none of them.")
@json_option
@color_option
@ends_quietly
def setup(
    config: str | None, sets: tuple[str, ...], kibana: str | None, space: str | None, dry_run: bool, as_json: bool
) -> None:
    """Make the templates, and the policy that deletes old indices, in the cluster of config.yml.

    May be run again at any time: what is there and right stays as it is.
    """
    from glassfs.elastic import setup as steps

    elastic = loaded(config, sets).settings.elastic
    with connected(elastic) as client:
        planned = steps.plan(client, elastic.namespace, elastic.retention_days)
        if as_json:
            done = list(planned.steps) if dry_run else list(steps.apply(client, planned))
            viewer = bring(elastic, kibana, space, quiet=True) if kibana and not dry_run else None
            answer_json({**_as_json(planned, done, dry_run=dry_run), "dashboards": viewer})
            return
        talk(f"{planned.server} at {shown(client.hosts[0])}, namespace {elastic.namespace}")
        if dry_run:
            _print_requests(planned)
        else:
            for step in steps.apply(client, planned):
                click.echo(f"{step.state:8} {step.what}")
        _say_what_is_odd(planned, elastic)
        if not dry_run:
            talk(f"next: {_next(elastic)}")
    if kibana and not dry_run:
        bring(elastic, kibana, space, quiet=False)


def _next(elastic: Elastic) -> str:
    live = "glassfs serve" if elastic.enabled else "set elastic.enabled: true in config.yml and run glassfs serve"
    return f"glassfs elastic ship @last, or for all traces, live: {live}"


def _print_requests(planned: Plan) -> None:
    """In the form that Kibana's and OpenSearch Dashboards' console takes."""
    from glassfs.elastic.setup import FOUND

    due = [step for step in planned.steps if step.state != FOUND]
    for step in due:
        click.echo(f"{step.method} {_target(step)}\n{json.dumps(step.body, indent=2)}\n")
    talk(f"{len(due)} requests would be sent, {len(planned.steps) - len(due)} things are there already")


def _target(step: Step) -> str:
    return step.path + (f"?{urlencode(step.params)}" if step.params else "")


def _say_what_is_odd(planned: Plan, elastic: Elastic) -> None:
    from glassfs.elastic import horizon, lifecycle

    age_days = horizon.index_age_days(elastic.retention_days)
    for warning in planned.warnings:
        talk(f"warning: {shown(warning)}")
    for missing in planned.missing:
        talk(f"this server lacks {missing}")
    if planned.lifecycle is None:
        lacking = lifecycle.NAMES[planned.server.capabilities.lifecycle]
        talk(
            f"nothing will be deleted by itself: this server has no {lacking}. "
            f"Run `glassfs elastic prune` daily: it deletes what is older than {age_days} days."
        )
    else:
        talk(
            f"indices are deleted {age_days} days after they were made: every call stays {elastic.retention_days} days"
        )


def _as_json(planned: Plan, done: list[Step], *, dry_run: bool) -> dict[str, Any]:
    steps = [
        {"state": step.state, "what": step.what, "method": step.method, "path": _target(step), "body": step.body}
        for step in done
    ]
    return {
        "server": {"distribution": planned.server.distribution, "version": ".".join(map(str, planned.server.version))},
        "namespace": planned.namespace,
        "dry_run": dry_run,
        "steps": steps,
        "lifecycle": planned.lifecycle,
        "missing": list(planned.missing),
        "warnings": list(planned.warnings),
    }
