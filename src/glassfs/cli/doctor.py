"""`glassfs doctor`: what works here, what does not, and the fix. Changes nothing."""

from __future__ import annotations

import sys

import click

from glassfs.cli import checks, failures
from glassfs.cli.screen import answer_json, color_option, json_option, wants_color

STYLE = {"pass": "green", "warn": "yellow", "fail": "red"}

# As grep and diff: 1 is "looked, and found something".
FOUND_FAILURES = 1


@click.command()
@json_option
@color_option
def doctor(as_json: bool) -> None:
    """Check what usually fails, print the fix, and measure what one traced call costs here.

    Nothing is changed. What could not be found out is a warning. Exit status 1 if a check fails.
    """
    results = checks.all_of_them()
    if as_json:
        answer_json({"checks": [check.as_json() for check in results], **counts(results)})
    else:
        show(results)
    failures.leave(FOUND_FAILURES if any(check.status == "fail" for check in results) else 0)


def show(results: list[checks.Check]) -> None:
    width = max(len(check.id) for check in results)
    color = wants_color(sys.stdout)
    for check in results:
        status = click.style(check.status, fg=STYLE[check.status]) if color else check.status
        print(f"{status}  {check.id:<{width}}  {check.what}")
        if check.fix:
            print(f"      {'':<{width}}  fix: {check.fix}")
    print(", ".join(f"{number} {status}" for status, number in counts(results).items()))


def counts(results: list[checks.Check]) -> dict[str, int]:
    return {status: sum(check.status == status for check in results) for status in STYLE}
