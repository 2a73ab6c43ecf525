"""Every setting as one flat list, taken from `model`: its name, kind, default, meaning, and its variable's name.

Knows no file and no value that was given.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Literal, get_args, get_origin

import msgspec
from msgspec import Meta

from glassfs.config.model import SECRETS, Section, Settings

VARIABLE_PREFIX = "GLASSFS_"


@dataclass(frozen=True)
class Setting:
    name: str
    type: Any
    default: Any
    description: str

    @property
    def variable(self) -> str:
        return VARIABLE_PREFIX + self.name.upper().replace(".", "_")

    @property
    def is_secret(self) -> bool:
        return self.name in SECRETS

    @property
    def example(self) -> str | None:
        """Of a setting without a default, as it may stand in YAML."""
        return self._meta("examples")[0] if self._meta("examples") else None

    @property
    def is_path(self) -> bool:
        return self.name.endswith("_file")

    @property
    def members(self) -> tuple[Any, ...]:
        """The types a value may have, without None."""
        base = get_args(self.type)[0]
        those = get_args(base) if get_origin(base) in (typing.Union, types.UnionType) else (base,)
        return tuple(one for one in those if one is not type(None))

    @property
    def is_text(self) -> bool:
        """Whether what was typed is taken letter by letter: a password of digits is no number."""
        return self.members[0] not in (bool, int, float)

    @property
    def is_list(self) -> bool:
        return any(get_origin(one) is list for one in self.members)

    @property
    def is_map(self) -> bool:
        return any(get_origin(one) is dict for one in self.members)

    @property
    def choices(self) -> tuple[str, ...]:
        return tuple(word for one in self.members if get_origin(one) is Literal for word in get_args(one))

    @property
    def allowed(self) -> str:
        """What may stand there, in words that follow "must be"."""
        if self.choices:
            words = f"{', '.join(self.choices[:-1])} or {self.choices[-1]}" if self.choices[1:] else self.choices[0]
            return f"{words}, or a list like [one, two]" if self.is_list else words
        if self.is_list:
            return "a list like [one, two]"
        if self.is_map:
            return "names with a text each, like {team: storage}"
        return {bool: "true or false", int: "a whole number", float: "a number"}.get(
            self.members[0], self._words or ("a path" if self.is_path else "a text")
        ) + self._limits

    @property
    def _limits(self) -> str:
        above, least, most = (self._meta(name) for name in ("gt", "ge", "le"))
        words = f" above {above}" if above is not None else f", {least} or more" if least is not None else ""
        return words + (f", at most {most:g}" if most is not None else "")

    @property
    def _words(self) -> str | None:
        return next((meta.extra["allowed"] for meta in self._metas if meta.extra), None)

    @property
    def _metas(self) -> list[Meta]:
        return [one for one in get_args(self.type)[1:] if isinstance(one, Meta)]

    def _meta(self, name: str) -> Any:
        return next((value for meta in self._metas if (value := getattr(meta, name)) is not None), None)


def sections() -> dict[str, type[Section]]:
    """By their dotted name; "" is the whole file."""
    return dict(_sections(Settings, ""))


def _sections(section: type[Section], name: str) -> Iterator[tuple[str, type[Section]]]:
    yield name, section
    for field in msgspec.structs.fields(section):
        if is_section(field.type):
            yield from _sections(field.type, f"{name}.{field.name}".lstrip("."))


def is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def all_settings() -> dict[str, Setting]:
    """In the order of the model."""
    return {setting.name: setting for setting in _settings(Settings, "")}


def _settings(section: type[Section], inside: str) -> Iterator[Setting]:
    for field in msgspec.structs.fields(section):
        name = f"{inside}.{field.name}".lstrip(".")
        if is_section(field.type):
            yield from _settings(field.type, name)
        else:
            yield Setting(name, field.type, _default(field), description(field.type))


def _default(field: msgspec.structs.FieldInfo) -> Any:
    return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()


def description(kind: Any) -> str:
    assert get_origin(kind) is Annotated, kind
    return next(one.description for one in get_args(kind)[1:] if isinstance(one, Meta) and one.description)


def built(values: Mapping[str, Any], section: type[Section] = Settings, inside: str = "") -> Any:
    """The section with these values by dotted name; what is not named keeps its default."""
    given: dict[str, Any] = {}
    for field in msgspec.structs.fields(section):
        name = f"{inside}.{field.name}".lstrip(".")
        if is_section(field.type):
            given[field.name] = built(values, field.type, name)
        elif name in values:
            given[field.name] = values[name]
    return section(**given)


def value_of(settings: Settings, name: str) -> Any:
    found: Any = settings
    for word in name.split("."):
        found = getattr(found, word)
    return found
