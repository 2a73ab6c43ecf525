"""The table of fields against ECS, the templates and its own reference. Needs no server."""

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from glassfs.elastic import indices, templates
from glassfs.elastic.fields import ECS_VERSION, GROUPS, Field, Type

REPOSITORY = Path(__file__).parents[2]
# What @elastic/ecs says of exactly the fields we use: made by tools/ecs_extract.js.
EXTRACT = json.loads((Path(__file__).parent / "ecs.json").read_text())
FIELDS = {field.name: field for group in GROUPS.values() for field in group}
OURS_AS_ECS = {Type.DATE: "date", Type.LONG: "long", Type.WILDCARD: "wildcard", Type.LABELS: "object"}
ALL = templates.Features(index_mode=True, wildcard=True, path_tree=True, ilm=True)
LEAST = templates.Features(index_mode=False, wildcard=False, path_tree=False, ilm=False)


def test_every_ecs_name_is_one_with_the_type_that_ecs_gives_it() -> None:
    ours = {name: OURS_AS_ECS.get(field.type, "keyword") for name, field in FIELDS.items() if field.is_ecs}
    assert ours == {name: said["type"] for name, said in EXTRACT["fields"].items()}
    assert EXTRACT["source"] == f"npm @elastic/ecs {ECS_VERSION}"


def test_the_fixed_words_are_those_that_ecs_allows() -> None:
    allowed = {name: said.get("allowed_values", []) for name, said in EXTRACT["fields"].items()}
    assert {"event", "metric", "state"} <= set(allowed["event.kind"])
    assert "file" in allowed["event.category"] and {"success", "failure"} <= set(allowed["event.outcome"])
    words = FIELDS["event.type"].description.replace(" or ", ", ").split(", ")
    assert sorted(words) == sorted(EXTRACT["fields"]["event.category"]["event_types_of_file"])


@pytest.mark.slow
def test_the_committed_extract_is_what_the_npm_package_says(tmp_path: Path) -> None:
    for tool in ("npm", "node"):
        if shutil.which(tool) is None:
            pytest.skip(f"not installed: {tool}")
    run = {"cwd": tmp_path, "check": True, "capture_output": True, "text": True, "timeout": 100}
    subprocess.run(["npm", "pack", "--silent", f"@elastic/ecs@{ECS_VERSION}"], **run)  # type: ignore[call-overload]
    shutil.unpack_archive(next(tmp_path.glob("*.tgz")), tmp_path)
    tool = [REPOSITORY / "tools/ecs_extract.js", tmp_path / "package"]
    names = "\n".join(name for name, field in FIELDS.items() if field.is_ecs)
    done = subprocess.run(["node", *tool], input=names, **run)  # type: ignore[call-overload]
    assert json.loads(done.stdout) == EXTRACT


def test_the_reference_is_the_table() -> None:
    made = subprocess.run(
        [sys.executable, REPOSITORY / "tools/fields_doc.py"], capture_output=True, text=True, check=True
    )
    assert (REPOSITORY / "docs/reference/fields.md").read_text() == made.stdout, "make fields-doc"


def test_a_field_has_one_meaning_and_one_type_in_all_groups() -> None:
    for name in FIELDS:
        assert len({field.type for group in GROUPS.values() for field in group if field.name == name}) == 1, name
    for group in GROUPS.values():
        assert len({field.name for field in group}) == len(group)


@pytest.mark.parametrize("group", GROUPS)
@pytest.mark.parametrize("features", [ALL, LEAST])
def test_every_field_is_in_its_template(group: str, features: templates.Features) -> None:
    properties = templates.template(group, "default", features)["template"]["mappings"]["properties"]
    assert set(leaves(properties, "")) == {field.name for field in GROUPS[group]}


def leaves(properties: dict[str, Any], above: str) -> list[str]:
    found: list[str] = []
    for name, one in properties.items():
        found += leaves(one["properties"], f"{above}{name}.") if "properties" in one else [f"{above}{name}"]
    return found


def test_what_a_server_lacks_is_in_none_of_its_templates() -> None:
    for kind in indices.PREFIXES:
        least, most = (json.dumps(templates.template(kind, "default", features)) for features in (LEAST, ALL))
        for word in ('"wildcard"', "path_hierarchy", "index.mode", "index.lifecycle"):
            assert word not in least
        assert "index.mode" in most


def test_paths_are_kept_whole_and_below_lucenes_limit() -> None:
    longest_path, longest_utf8, lucene_bytes = 4096, 4, 32766
    assert longest_path < templates.PATH_CHARS and templates.PATH_CHARS * longest_utf8 <= lucene_bytes


def test_dated_names_come_back_and_others_do_not() -> None:
    moment = 1_700_000_000_000_000_000
    for name in (indices.events("a.b", moment), indices.events("a.b", moment, "hour"), indices.totals("a.b", moment)):
        parsed = indices.parse(name)
        assert parsed is not None and parsed.namespace == "a.b" and name.startswith(indices.PREFIXES[parsed.kind])
    assert indices.events("d", moment) == "glassfs-events-d-2023.11.14"
    assert indices.events("d", moment, "hour") == "glassfs-events-d-2023.11.14.22"
    for other in (
        "glassfs-events-d",
        "glassfs-traces-d",
        "glassfs-events-d-2023.11.14-1",
        "glassfs-events-d-2023.13.40",
        "glassfs-events-d-x-2023.11.14",
        "my-glassfs-events-d-2023.11.14",
        "metricbeat-8.19.0-2023.11.14",
    ):
        assert indices.parse(other) is None, other


def test_a_kept_second_belongs_to_the_day_in_utc() -> None:
    last_of_the_day = 1_699_999_999_999_999_999 // 86_400_000_000_000 * 86_400_000_000_000 + 86_399_999_999_999
    assert indices.events("d", last_of_the_day) != indices.events("d", last_of_the_day + 1)


def test_the_field_list_stays_far_below_the_limit_of_a_mapping() -> None:
    assert max(map(len, GROUPS.values())) < 100


def test_ecs_and_own_names_are_told_apart() -> None:
    assert Field("file.path", Type.PATH, "").is_ecs and not Field("glassfs.fh", Type.KEYWORD, "").is_ecs
