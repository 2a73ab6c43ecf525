"""Prints what is made from src/glassfs/config/model.py: config_doc.py reference > docs/reference/config.md, and
config_doc.py example > config.example.yml."""

from __future__ import annotations

import inspect
import sys
import textwrap

from glassfs.config.load import SYSTEM_FILE
from glassfs.config.rendered import as_yaml, outline
from glassfs.config.settings import Setting, sections

# The example is for someone who wants to ship; by default nothing leaves the machine.
IN_EXAMPLE = {"elastic.enabled": True}

WIDTH = 118

REFERENCE_HEAD = f"""# config.yml

Written by `make config-doc` from `src/glassfs/config/model.py`; a test compares the two. A complete file to start from:
[config.example.yml](../../config.example.yml).

    glassfs config check config.yml        all that is wrong with it, at once; connects to nothing
    glassfs config show --origin           every setting as it counts, and where it comes from
    glassfs serve -c config.yml

## Where settings come from

The first of these that has a setting counts:

1. a flag: `--set elastic.ship=errors`, or the traces named after `glassfs serve`
2. the environment: `GLASSFS_ELASTIC_SHIP=errors`. Lists are separated by commas, labels are `name=text,name=text`; an
   empty variable counts as not set
3. the file: `-c FILE`, else `$XDG_CONFIG_HOME/glassfs/config.yml` (usually `~/.config/glassfs/config.yml`), else
   `{SYSTEM_FILE}`. Only one file is read. A `config.yml` in the current directory is read only when it is
   named: another project's file must not decide where your names of files are sent
4. the default

A list or a map replaces the whole list or map of the next source. Files named in the file are looked for beside it, `~`
is your home directory. YAML 1.2: true and false, not yes and no.

## Secrets

Three ways, the best first: a file (`elastic.api_key_file`, `elastic.password_file`; one line, `chmod 600`), the
environment (`GLASSFS_ELASTIC_API_KEY`, `GLASSFS_ELASTIC_PASSWORD`), the setting itself. Never a flag: every user of the
machine can read a command line. Secrets are shown as `***`, also in the line of an error message; what is in key files
is never shown.

A variable weighs more than the file here too: with `GLASSFS_ELASTIC_API_KEY` set, `elastic.api_key_file` in the file is
not read.

## What an error looks like

    glassfs: 2 errors in config.yml
      config.yml:3:3: elastic has no setting 'host', did you mean 'hosts'?
          3 |   host: [http://127.0.0.1:9200]
            |   ^^^^
      config.yml:4:9: elastic.ship must be all, slow, errors, sampled or totals, not 'eror', did you mean 'errors'?
          4 |   ship: eror
            |         ^^^^

Exit status 2. Nothing is started with settings that are partly wrong.
"""

EXAMPLE_HEAD = """\
# Settings of `glassfs serve` and `glassfs elastic`. Every setting is here, with its default; what has none is commented
# out. Only elastic.enabled differs: by default nothing is shipped.
#
#   glassfs config check config.yml     glassfs serve -c config.yml
#
# docs/reference/config.md says the same in tables, and which variable sets what.
"""


def reference() -> str:
    parts = [REFERENCE_HEAD.rstrip()]
    for section, settings in _by_section().items():
        parts += ["", f"## {section or 'At the top'}", "", _meaning(section), ""]
        parts += ["| setting | what it is | may be | default | variable |", "|---|---|---|---|---|"]
        parts += [_row(setting) for setting in settings]
    return "\n".join(parts) + "\n"


def _by_section() -> dict[str, list[Setting]]:
    found: dict[str, list[Setting]] = {}
    for setting, _indent, _name in outline():
        if setting is not None:
            found.setdefault(setting.name.rpartition(".")[0], []).append(setting)
    return found


def _meaning(section: str) -> str:
    return inspect.getdoc(sections()[section]) or "" if section else "What belongs to no section."


def _row(setting: Setting) -> str:
    default = f"`{as_yaml(setting.default)}`" if setting.default is not None else ""
    cells = [f"`{setting.name}`", setting.description, setting.allowed, default, f"`{setting.variable}`"]
    return "| " + " | ".join(cell.replace("|", "&#124;") for cell in cells) + " |"


def example() -> str:
    lines = [EXAMPLE_HEAD.rstrip()]
    for name, (setting, indent, word) in zip(_names(), outline(), strict=True):
        if setting is None:
            lines += ["" if not indent else None, *_comment(_meaning(name), indent), f"{indent}{word}:"]
            continue
        lines += ["" if not indent else None, *_comment(setting.description, indent)]
        value = IN_EXAMPLE.get(setting.name, setting.default)
        if setting.example is not None:
            lines.append(f"{indent}# {word}: {setting.example}")
        if value is not None:
            lines.append(f"{indent}{word}: {as_yaml(value)}")
    return "\n".join(line for line in lines if line is not None) + "\n"


def _names() -> list[str]:
    """The dotted names of `outline`."""
    names, stack = [], []
    for _setting, indent, word in outline():
        stack[len(indent) // 2 :] = [word]
        names.append(".".join(stack))
    return names


def _comment(text: str, indent: str) -> list[str]:
    return [f"{indent}# {line}" for line in textwrap.wrap(text, WIDTH - len(indent) - 2)]


def main() -> None:
    sys.stdout.write({"reference": reference, "example": example}[sys.argv[1]]())


if __name__ == "__main__":
    main()
