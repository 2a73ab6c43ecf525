"""The settings from flags, environment and file, in this order of weight, and where each of them came from.

Knows no trace and no server. All that is wrong is said at once, as ConfigError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from glassfs.config import crosschecks, document
from glassfs.config.messages import ConfigError, Problem, Spot, meant
from glassfs.config.model import Settings
from glassfs.config.settings import VARIABLE_PREFIX, Setting, all_settings, built, sections

SYSTEM_FILE = Path("/etc/glassfs/config.yml")
NEXT_STEP = "glassfs config show --origin lists every setting; docs/reference/config.md explains them."


@dataclass(frozen=True)
class Origin:
    """`kind`: flag, environment, file or default. `where`: "config.yml:3", "$GLASSFS_...", "--set", ""."""

    kind: str
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind


@dataclass(frozen=True)
class Given:
    """One setting that somebody gave: its value as the model wants it, and the place to point at."""

    value: Any
    origin: Origin
    spot: Spot


@dataclass(frozen=True)
class Loaded:
    """`origins`: by dotted name, for every setting. `warnings`: what works but should not stay so."""

    settings: Settings
    origins: Mapping[str, Origin]
    path: Path | None = None
    warnings: tuple[str, ...] = ()


@dataclass
class _Layer:
    given: dict[str, Given] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def default_files(environ: Mapping[str, str]) -> list[Path]:
    """Where config.yml is looked for when none is named: the user's own, then the machine's. Never in the current
    directory: another project's config.yml must not decide where names of files are sent."""
    config = environ.get("XDG_CONFIG_HOME", "")
    home = Path(config) if os.path.isabs(config) else Path.home() / ".config"
    return [home / "glassfs/config.yml", SYSTEM_FILE]


def default_file(environ: Mapping[str, str]) -> Path | None:
    return next((path for path in default_files(environ) if path.exists()), None)


def load(path: Path | None, environ: Mapping[str, str], flags: Mapping[str, str | list[str]]) -> Loaded:
    """`path` None: no file. `flags`: by dotted name, a text as it was typed (lists with commas) or a list."""
    layers = [_from_file(path), _from_environment(environ), _from_flags(flags)]
    problems = [problem for layer in layers for problem in layer.problems]
    given = {name: one for layer in layers for name, one in layer.given.items()}
    given = crosschecks.without_overruled(given)
    values = {name: one.value for name, one in given.items()}
    settings: Settings = built(values)
    problems += crosschecks.problems(settings, {name: one.spot for name, one in given.items()}, unsure=bool(problems))
    if problems:
        raise ConfigError(problems, source=_source(path, problems), next_step=NEXT_STEP)
    origins = {name: given[name].origin if name in given else Origin("default") for name in all_settings()}
    return Loaded(settings, origins, path, tuple(crosschecks.warnings(settings, path, origins)))


def _source(path: Path | None, problems: list[Problem]) -> str:
    inside = path is not None and all(one.spot and one.spot.where.startswith(f"{path}:") for one in problems)
    return str(path) if inside else "the settings"


def _from_file(path: Path | None) -> _Layer:
    layer = _Layer()
    if path is None:
        return layer
    whole = document.read(path)
    _take_section(layer, whole.root, "", path)
    layer.problems += whole.problems
    layer.problems.sort(key=lambda problem: (problem.spot and problem.spot.number) or 0)
    return layer


def _take_section(layer: _Layer, value: document.Value, section: str, path: Path) -> None:
    if value.is_null:
        # A section whose settings are all commented out.
        return
    if not isinstance(value.content, dict):
        called = f"{section} is a section" if section else "this is no list of sections"
        example = f"{section}:\n" if section else "elastic:\n"
        layer.problems.append(Problem(f"{called}: settings must stand below it", value.spot, _like(example, section)))
        return
    for name, (spot, inner) in value.content.items():
        full = f"{section}.{name}".lstrip(".")
        if full in sections():
            _take_section(layer, inner, full, path)
        elif setting := all_settings().get(full):
            origin = Origin("file", f"{path}:{spot.number}")
            empty = "Write a value, or put # before the line." if inner.is_null else None
            plain = inner.plain(as_text=setting.is_text)
            _take(layer, setting, plain, origin, spot if inner.is_null else inner.spot, empty, base=path.parent)
        else:
            layer.problems.append(Problem(_unknown(name, section), spot))


def _like(example: str, section: str) -> str:
    inside = [name for name in all_settings() if name.startswith(f"{section or 'elastic'}.")]
    return f"Like this: {example.strip()} and in the next line, indented, {inside[0].rpartition('.')[2]}: ..."


def _unknown(name: str, section: str) -> str:
    inside = f"{section}." if section else ""
    names = [*sections(), *all_settings()]
    here = [full.removeprefix(inside) for full in names if full.startswith(inside)]
    what = f"{section} has no setting '{name}'" if section else f"there is no section or setting '{name}'"
    near = meant(name, [one for one in here if one and "." not in one])
    if near:
        return what + near
    elsewhere = {full.rpartition(".")[2]: full for full in names if full and full != name}
    moved = meant(name, elsewhere)
    return what + (f", did you mean {elsewhere[moved.split(chr(39))[1]]}?" if moved else "")


def _from_environment(environ: Mapping[str, str]) -> _Layer:
    layer = _Layer()
    variables = {setting.variable: setting for setting in all_settings().values()}
    tops = tuple(f"{VARIABLE_PREFIX}{name.partition('.')[0].upper()}" for name in all_settings())
    for variable, text in sorted(environ.items()):
        # Empty is not set: compose files pass on variables that nobody has filled.
        if not text or not variable.startswith(VARIABLE_PREFIX):
            continue
        if setting := variables.get(variable):
            line = f"{variable}={text}"
            spot = Spot(f"${variable}", line, None, len(variable) + 1, len(text))
            _take(layer, setting, _typed(setting, text), Origin("environment", f"${variable}"), spot)
        elif any(variable == top or variable.startswith(f"{top}_") for top in tops):
            spot = Spot(f"${variable}", f"{variable}={text}", None, 0, len(variable))
            layer.problems.append(Problem("no setting has this variable" + meant(variable, variables), spot))
    return layer


def _from_flags(flags: Mapping[str, str | list[str]]) -> _Layer:
    layer = _Layer()
    for name, value in flags.items():
        setting = all_settings().get(name)
        text = value if isinstance(value, str) else " ".join(value)
        line = f"--set {name}={text}"
        if setting is None:
            spot = Spot("--set", line, None, len("--set "), len(name))
            layer.problems.append(Problem(f"there is no setting '{name}'" + meant(name, all_settings()), spot))
        elif setting.is_secret:
            hint = f"Use {name}_file or ${setting.variable}: all users of this machine can read a command line."
            layer.problems.append(Problem(f"{name} is a secret and no flag", None, hint))
        else:
            spot = Spot("--set", line, None, len(f"--set {name}="), len(text))
            given = _typed(setting, value) if isinstance(value, str) else value
            _take(layer, setting, given, Origin("flag", "command line"), spot)
    return layer


def _typed(setting: Setting, text: str) -> Any:
    """A text from outside YAML, where lists are separated by commas."""
    if setting.is_map:
        pairs = [part.partition("=") for part in text.split(",")]
        return {name.strip(): value.strip() for name, _, value in pairs} if all(one[1] for one in pairs) else text
    if setting.is_list and text not in setting.choices:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text if setting.is_text else document.scalar(text.strip())


def _take(
    layer: _Layer,
    setting: Setting,
    value: Any,
    origin: Origin,
    spot: Spot,
    hint: str | None = None,
    *,
    base: Path | None = None,
) -> None:
    try:
        good = msgspec.convert(value, setting.type)
        # msgspec lets infinity pass: no wait can be that long.
        if isinstance(good, float) and abs(good) == float("inf"):
            raise msgspec.ValidationError
    except msgspec.ValidationError:
        layer.problems.append(Problem(f"{setting.name} must be {setting.allowed}{_not(setting, value)}", spot, hint))
    else:
        layer.given[setting.name] = Given(_resolved(setting, good, base or Path.cwd()), origin, spot)


def _not(setting: Setting, value: Any) -> str:
    if setting.is_secret or value is None:
        return ""
    shown = {bool: str(value).lower(), dict: "a section", list: "a list"}.get(type(value), f"'{value}'")
    near = meant(str(value), setting.choices)
    if setting.is_list and isinstance(value, str) and not near:
        near = f"; write [{value}]" if len(value) < 60 else ""
    elif setting.members[0] is bool and str(value).lower() in ("yes", "on", "no", "off"):
        near = f"; write {'true' if str(value).lower() in ('yes', 'on') else 'false'}"
    return f", not {shown}{near}"


def _resolved(setting: Setting, value: Any, base: Path) -> Any:
    """Files named in config.yml lie beside it; named elsewhere, in the current directory."""
    absolute: Callable[[str], str] = lambda text: str(base.absolute() / Path(text).expanduser())  # noqa: E731
    if setting.is_path and value is not None:
        return absolute(value)
    if setting.name == "traces.follow" and isinstance(value, list):
        return [absolute(word) if "/" in word else word for word in value]
    return value
