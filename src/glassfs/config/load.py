"""The settings from flags, environment and file, in this order of weight, and where each of them came from.

Knows no trace and no server. All that is wrong is said at once, as ConfigError.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec

from glassfs.config import crosschecks, document
from glassfs.config.messages import NAME_SHOWN, ConfigError, Problem, Spot, meant, quoted, without_secrets
from glassfs.config.model import Settings
from glassfs.config.settings import VARIABLE_PREFIX, Setting, all_settings, built, sections

# Words of YAML 1.1 that 1.2 takes for texts.
YES, NO = ("yes", "on", "y"), ("no", "off", "n")

SYSTEM_FILE = Path("/etc/glassfs/config.yml")


@dataclass(frozen=True)
class Origin:
    """`kind`: flag, environment, file or default. `where`: "config.yml:3", "$GLASSFS_...", "--set", ""."""

    kind: str
    where: str = ""

    def __str__(self) -> str:
        return self.where or self.kind


@dataclass(frozen=True)
class Given:
    """One setting that somebody gave: its value as the model wants it, and the place to point at. `parts`: the places
    of a list's texts and a map's names."""

    value: Any
    origin: Origin
    spot: Spot
    parts: Mapping[str, Spot] = field(default_factory=dict)


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
    problems += crosschecks.problems(settings, given, unsure=bool(problems))
    if problems:
        problems.sort(key=lambda problem: (problem.spot and problem.spot.number) or document.MAX_BYTES)
        raise ConfigError(problems, source=_source(path, problems))
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
        layer.problems.append(_no_section(value, section))
        return
    for name, (spot, inner) in value.content.items():
        full = f"{section}.{name}".lstrip(".")
        if full in sections():
            _take_section(layer, inner, full, path)
        elif setting := all_settings().get(full):
            _take_value(layer, setting, spot, inner, path)
        else:
            layer.problems.append(_unknown(name, section, spot))


def _take_value(layer: _Layer, setting: Setting, name: Spot, value: document.Value, path: Path) -> None:
    hint = "Write a value, or put # before the line." if value.is_null else None
    given = Given(
        value.plain(as_text=setting.is_text),
        Origin("file", f"{path}:{name.number}"),
        name if value.is_null else value.spot,
        value.parts,
    )
    _take(layer, setting, given, hint, base=path.parent)


def _no_section(value: document.Value, section: str) -> Problem:
    if value.text is not None:
        # `elastic:` and below it `enabled true` or `enabled:true`.
        what = f"settings must stand here{f', below {section}' if section else ''}"
        return Problem(what, value.spot, document.COLON_HINT)
    return Problem(f"{section or 'this'} must be a section, not a list", value.spot, "Remove the '- ' or the brackets.")


def _unknown(name: str, section: str, spot: Spot) -> Problem:
    """The same name in another section is more likely meant than a similar one here."""
    inside = f"{section}." if section else ""
    those = [full.removeprefix(inside) for full in all_settings() if full.startswith(inside)]
    here = list(dict.fromkeys(one.partition(".")[0] for one in those))
    elsewhere = {full.rpartition(".")[2]: full for full in [*all_settings(), *filter(None, sections())]}
    near = elsewhere.get(name) or meant(name, here) or elsewhere.get(meant(name, elsewhere, cutoff=0.8) or "")
    what = f"{section} has no setting {quoted(name)}" if section else f"there is no section {quoted(name)}"
    if near:
        return Problem(f"{what}, did you mean '{near}'?", spot)
    return Problem(what, spot, f"Known: {', '.join(here)}.")


def _did_you_mean(word: str, known: Iterable[str]) -> str:
    near = meant(word, known)
    return f", did you mean '{near}'?" if near else ""


def _from_environment(environ: Mapping[str, str]) -> _Layer:
    layer = _Layer()
    variables = {setting.variable: setting for setting in all_settings().values()}
    for variable, text in sorted(environ.items()):
        # Empty is not set: compose files pass on variables that nobody has filled.
        if setting := variables.get(variable) if text else None:
            spot = _spot(f"${variable}", f"{variable}={text}", len(variable) + 1, len(text))
            _take(layer, setting, Given(_typed(setting, text), Origin("environment", f"${variable}"), spot))
        elif text and (top := _top(variable)):
            near = meant(
                variable.removeprefix(top), [one.removeprefix(top) for one in variables if one.startswith(top)]
            )
            what = "there is no such setting" + (f", did you mean '{top}{near}'?" if near else "")
            layer.problems.append(Problem(what, _spot(f"${variable}", f"{variable}={text}", 0, len(variable))))
    return layer


def _top(variable: str) -> str | None:
    """ "GLASSFS_ELASTIC_" of a variable that can only be meant for us: others begin with GLASSFS_ too."""
    tops = {f"{VARIABLE_PREFIX}{name.partition('.')[0].upper()}_" for name in sections() if name}
    return next((top for top in tops if variable.startswith(top)), None)


def _spot(where: str, line: str, column: int, length: int) -> Spot:
    return Spot(where, without_secrets(line), None, column, length)


def _from_flags(flags: Mapping[str, str | list[str]]) -> _Layer:
    layer = _Layer()
    for name, value in flags.items():
        setting = all_settings().get(name)
        text = value if isinstance(value, str) else " ".join(value)
        line = f"--set {name}={text}"
        if setting is None:
            spot = _spot("--set", line, len("--set "), len(name))
            layer.problems.append(
                Problem(f"there is no setting {quoted(name)}" + _did_you_mean(name, all_settings()), spot)
            )
        elif setting.is_secret:
            hint = f"Set {name}_file or ${setting.variable}: every user of this machine can read a command line."
            layer.problems.append(Problem(f"--set: {name} is a secret and not taken from a flag", None, hint))
        else:
            spot = _spot("--set", line, len(f"--set {name}="), len(text))
            given = _typed(setting, value) if isinstance(value, str) else value
            _take(layer, setting, Given(given, Origin("flag", "command line"), spot))
    return layer


def _typed(setting: Setting, text: str) -> Any:
    """A text from outside YAML, where lists are separated by commas."""
    if setting.is_map:
        pairs = [part.partition("=") for part in text.split(",")]
        return {name.strip(): value.strip() for name, _, value in pairs} if all(one[1] for one in pairs) else text
    if setting.is_list and text not in setting.choices:
        return [part.strip() for part in text.split(",") if part.strip()]
    return text if setting.is_text else document.scalar(text.strip())


def _take(layer: _Layer, setting: Setting, given: Given, hint: str | None = None, *, base: Path | None = None) -> None:
    try:
        good = msgspec.convert(given.value, setting.type)
        # msgspec lets infinity pass: no wait can be that long.
        if isinstance(good, float) and abs(good) == float("inf"):
            raise msgspec.ValidationError
    except msgspec.ValidationError:
        what = f"{setting.name} must be {setting.allowed}{_not(setting, given.value)}"
        layer.problems.append(Problem(what, given.spot, hint))
    else:
        layer.given[setting.name] = replace(given, value=_resolved(setting, good, base or Path.cwd()))


def _not(setting: Setting, value: Any) -> str:
    if setting.is_secret or value is None:
        return ""
    if value in ([], {}):
        return ", not an empty one"
    if isinstance(value, dict | list):
        kind = "list" if isinstance(value, list) else "section"
        return f", not a {kind}" if kind == "section" or not setting.is_list else ""
    word = str(value).lower() if isinstance(value, bool) else str(value)
    return f", not '{word[:NAME_SHOWN]}'{_instead(setting, word)}"


def _instead(setting: Setting, word: str) -> str:
    if setting.members[0] is bool and word.lower() in YES + NO:
        return f"; write {'true' if word.lower() in YES else 'false'}"
    near = _did_you_mean(word, setting.choices)
    return f"; write [{word}]" if setting.is_list and not near and len(word) < NAME_SHOWN else near


def _resolved(setting: Setting, value: Any, base: Path) -> Any:
    """Files named in config.yml lie beside it; named elsewhere, in the current directory."""
    absolute: Callable[[str], str] = lambda text: str(base.absolute() / Path(text).expanduser())  # noqa: E731
    if setting.is_path and value is not None:
        return absolute(value)
    if setting.name == "traces.follow" and isinstance(value, list):
        return [absolute(word) if "/" in word else word for word in value]
    return value
