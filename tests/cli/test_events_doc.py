"""docs/events.md says what the recorder's own schema says."""

import subprocess
import sys
from pathlib import Path

from cli_kit import GLASSFS

ROOT = Path(__file__).parents[2]


def test_the_page_of_columns_is_the_recorders_schema():
    recorder = Path(GLASSFS).with_name("glassfs-recorder")
    page = subprocess.run(
        [sys.executable, ROOT / "tools/events_doc.py", recorder], check=True, capture_output=True, text=True, timeout=60
    )
    assert page.stdout == (ROOT / "docs/events.md").read_text(), "make events-doc writes it anew"
