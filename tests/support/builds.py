"""What the builds of Maven Central have and lack, as docs/how-to/elasticsearch.md says. tests/elastic/test_servers.py proves
it on each; other tests ask here, so that what a build lacks is told from what is wrong.
"""

from support.recorder import REPOSITORY

PAGE = REPOSITORY / "docs/how-to/elasticsearch.md"
HEADING = "### What these builds lack"


def has(version: str) -> dict[str, bool]:
    """Of a version such as opensearch-2.19.1: each row's first word in backquotes, and whether it is there."""
    lines = PAGE.read_text().partition(HEADING)[2].splitlines()
    table = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines if line.startswith("|")]
    versions = [name.lower().replace(" ", "-") for name in table[0]]
    column = versions.index(version)
    found = {row[0].split("`")[1]: row[column] for row in table[2:]}
    assert set(found.values()) <= {"yes", "yes (1)", "no"}, found
    return {name: cell != "no" for name, cell in found.items()}
