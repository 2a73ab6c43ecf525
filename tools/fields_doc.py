"""Prints docs/reference/fields.md from the table of fields: fields_doc.py > docs/reference/fields.md."""

from __future__ import annotations

from glassfs.elastic import indices
from glassfs.elastic.fields import ECS_VERSION, GROUPS, Field, Type

HEAD = f"""# The fields of what is shipped

Written by `make fields-doc` from `src/glassfs/elastic/fields.py`; a test compares the two. The templates that
`glassfs elastic setup` makes come from the same table.

Names are those of the [Elastic Common Schema](https://www.elastic.co/docs/reference/ecs) {ECS_VERSION} where it has
one (marked ECS; checked against the npm package `@elastic/ecs`), and stand under `glassfs` where it has none. What is
not known is absent, never null. Names of files are escaped as in a trace: a backslash is `\\\\`, a byte that is not
UTF-8 is `\\xHH`; so two different names stay different.

| type | in the cluster |
|---|---|
| date | `date_nanos`: nanoseconds are kept |
| keyword | `keyword`, to 1,024 characters |
| path | `keyword`, to 8,191 characters (ECS: 1,024, but paths have up to 4,096 bytes) |
| tree | as path, and where the server can, `file.path.tree: "/home/ana"` finds all below that folder |
| wildcard | `wildcard` on Elasticsearch, `keyword` elsewhere or where that module is missing |
| long | `long`: exact to 2^63. Browsers round above 2^53: so inodes and handles are keywords |
| double | `double` |
| labels | each a `keyword` |

The sampler's documents, in `metricbeat-glassfs-*`, have the names and units of Metricbeat's system module: its own
[reference](https://www.elastic.co/docs/reference/beats/metricbeat/metricbeat-metricset-system-cpu) describes them.
"""

OF_GROUP = {
    "events": "One document a call. `_id` is trace id, stream and sequence, so none is ever there twice.",
    "totals": """Exact counts, whatever else is shipped: one document a second, op, error, kind and latency bucket.
`_doc_count` says how many calls a document stands for, and the cluster counts with it: the count of documents is the
count of calls. What is summed stands on the first bucket's document of its second only, so that `sum` is right.""",
    "traces": "One document a trace, written anew as it goes on. `_id` is the trace's id.",
}


def render() -> str:
    parts = [HEAD]
    for group, fields in GROUPS.items():
        parts += [f"## {group}\n\n`{indices.PREFIXES[group]}-*`. {OF_GROUP[group]}\n"]
        parts += ["| field | type | | what it is |", "|---|---|---|---|"]
        parts += [row(field) for field in fields] + [""]
    return "\n".join(parts)


def row(field: Field) -> str:
    name = f"{field.name}.NAME" if field.type is Type.LABELS else field.name
    origin = "ECS" if field.is_ecs else ""
    return f"| `{name}` | {field.type} | {origin} | {field.description.replace('|', '&#124;')} |"


if __name__ == "__main__":
    print(render(), end="")
