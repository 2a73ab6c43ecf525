"""The family of each row's path, in SQL: the same answer as `Families.of`, for any table with a column `path`."""

from __future__ import annotations

from collections.abc import Sequence

from glassfs.families import NONE, Families
from glassfs.families.families import FORK, SEGMENT
from glassfs.families.rules import Rule
from glassfs.query.answers import FamilyRow
from glassfs.query.asked import Asked
from glassfs.query.breakdown import FIGURES_SQL, figures, measure

_STEM = f"regexp_replace(path, '{SEGMENT}', '')"
_MAIN = f"regexp_replace({_STEM}, '{FORK}', '')"


def with_families(rows: str, families: Families) -> str:
    """A select over `rows` (a select in brackets, or a table) with two more columns: `family`, null where there is no
    path, and `relation`, null where no server has named the file. Each path is looked at once."""
    return f"""
        (with rows as materialized (select * from {rows}),
              paths as (select path as known_path, {_known(families)} from
                        (select distinct path from rows where path is not null) {_joined(families)})
         select rows.*, paths.family, paths.relation from rows left join paths on path = known_path)"""


def family_of_path(families: Families) -> str:
    """The same as an expression over `path`, for where each path is looked at once anyway; null without a path."""
    by_rule = f"case when path is not null then {_by_rule(families.rules)} end"
    if not families.relations:
        return by_rule
    return f"coalesce({_looked_up(families, 'family', _STEM)}, {by_rule})"


def relation_of_path(families: Families) -> str:
    if not families.relations:
        return "null::varchar"
    return f"coalesce({_looked_up(families, 'name', _STEM)}, {_looked_up(families, 'name', _MAIN)})"


def _looked_up(families: Families, what: str, key: str) -> str:
    entries = ", ".join(f"{_text(each.path)}: {_text(getattr(each, what))}" for each in families.relations.values())
    return f"map {{{entries}}}[{key}]"


def _known(families: Families) -> str:
    by_rule = _by_rule(families.rules)
    if not families.relations:
        return f"{by_rule} as family, null::varchar as relation"
    return f"coalesce(exact.family, {by_rule}) as family, coalesce(exact.name, main.name) as relation"


def _joined(families: Families) -> str:
    if not families.relations:
        return ""
    rows = ", ".join(
        f"({_text(each.path)}, {_text(each.family)}, {_text(each.name)})" for each in families.relations.values()
    )
    table = f"(values {rows})"
    return (
        f"left join {table} as exact(path_of, family, name) on {_STEM} = exact.path_of "
        f"left join {table} as main(path_of, family, name) on {_MAIN} = main.path_of"
    )


def _by_rule(rules: Sequence[Rule]) -> str:
    cases = [f"when {' or '.join(_fits(path) for path in rule.paths)} then {_text(rule.name)}" for rule in rules]
    return f"case {' '.join(cases)} else {_text(NONE)} end"


def _fits(glob: str) -> str:
    return f"path glob {_text(glob)}"


def _text(value: str) -> str:
    return "'" + value.replace("'", "''") + "'"


_OF_FAMILIES = "select family, relation, {figures} from {rows} group by family, relation, bucket"


def family_rows(asked: Asked, families: Families, *, sort: str, limit: int) -> tuple[FamilyRow, ...]:
    """One row a family, or a relation where a server has named it; those without a path are left out."""
    rows = with_families(f"(select * from events where path is not null and {asked.where})", families)
    parts: dict[tuple[str, str | None], list[tuple[int, ...]]] = {}
    for family, relation, *numbers in asked.rows(_OF_FAMILIES.format(figures=FIGURES_SQL, rows=rows), asked.values):
        parts.setdefault((family, relation), []).append(tuple(numbers))
    found = [FamilyRow(family=family, relation=name, **figures(those)) for (family, name), those in parts.items()]
    return tuple(
        sorted(found, key=lambda row: (-measure(row, sort), -row.count, row.family, row.relation or ""))[:limit]
    )
