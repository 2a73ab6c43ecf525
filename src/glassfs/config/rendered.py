"""Settings as text: YAML that loads again, without secrets. Knows no file."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from glassfs.config.document import scalar
from glassfs.config.load import Loaded
from glassfs.config.messages import HIDDEN
from glassfs.config.model import Section, Settings
from glassfs.config.settings import Setting, all_settings, is_section, value_of

# Where the origins begin, as far as the values let them.
ORIGIN_COLUMN = 44

# What YAML takes as it stands, also inside brackets.
_PLAIN = re.compile(r"[A-Za-z0-9_./][A-Za-z0-9_./:@+-]*")


def as_yaml(value: Any) -> str:
    """One value on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{as_yaml(name)}: {as_yaml(one)}" for name, one in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(as_yaml, value)) + "]"
    if isinstance(value, str):
        plain = _PLAIN.fullmatch(value) and not value.endswith(":") and scalar(value) == value
        return value if plain else f'"{"".join(map(_in_quotes, value))}"'
    if isinstance(value, float):
        return repr(value).removesuffix(".0")
    return json.dumps(value)


def _in_quotes(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    return character if character.isprintable() else f"\\U{ord(character):08x}"


def shown_value(loaded: Loaded, setting: Setting) -> Any:
    value = value_of(loaded.settings, setting.name)
    return HIDDEN if setting.is_secret and value is not None else value


def as_lines(loaded: Loaded, *, with_origin: bool) -> Iterator[str]:
    """config.yml with every setting; the origins as comments."""
    for setting, indent, name in outline():
        if setting is None:
            yield f"{indent}{name}:"
            continue
        line = f"{indent}{name}: {as_yaml(shown_value(loaded, setting))}"
        yield f"{line:{ORIGIN_COLUMN}}  # {loaded.origins[setting.name]}" if with_origin else line


def outline(section: type[Section] = Settings, inside: str = "") -> Iterator[tuple[Setting | None, str, str]]:
    """Sections (without a setting) and settings as they stand in the file: (setting, indentation, name)."""
    indent = "  " * (inside.count(".") + 1 if inside else 0)
    # A section's own settings first: what follows a section would seem to belong to it.
    for field in sorted(msgspec.structs.fields(section), key=lambda one: is_section(one.type) and bool(inside)):
        name = f"{inside}.{field.name}".lstrip(".")
        if is_section(field.type):
            yield None, indent, field.name
            yield from outline(field.type, name)
        else:
            yield all_settings()[name], indent, field.name
