"""How a verb ends: each kind of error becomes one line on stderr and an exit status, never a traceback."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import click

from glassfs.cli.screen import shown, talk
from glassfs.errors import AlreadySaid, GlassfsError

# sysexits' EX_SOFTWARE: a bug in glassfs, told apart from usage (2) and environment (3).
BUG = 70
DETAILS_PREFIX = "glassfs-bug-"


def end_with(verb: Callable[[], Any]) -> NoReturn:
    """Runs a verb and ends the process as it says."""
    # As other tools: when nobody reads on, end without a word. `run`, `serve` and `elastic` take it back.
    signal.signal(signal.SIGPIPE, signal.SIG_DFL)
    try:
        status = verb()
    except AlreadySaid as error:
        status = error.exit_code
    except GlassfsError as error:
        talk(str(error))
        status = error.exit_code
    except click.ClickException as error:
        talk(misuse(error))
        status = error.exit_code
    except (KeyboardInterrupt, click.Abort):
        die_of(signal.SIGINT)
    except BrokenPipeError:
        die_of(signal.SIGPIPE)
    except Exception as error:
        status = say_bug(error)
    leave(status if isinstance(status, int) else 0)


def misuse(error: click.ClickException) -> str:
    """What Click found, in the form of our own errors: what, and the next step."""
    what = error.format_message().rstrip(".")
    context = error.ctx if isinstance(error, click.UsageError) else None
    next_step = f"\n  See {context.command_path} --help." if context else ""
    return what[:1].lower() + what[1:] + next_step


def leave(status: int) -> NoReturn:
    """Ends with a status. Not by sys.exit: tearing the interpreter down takes 10-20 ms, and nothing here needs it."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError):
            stream.flush()
    os._exit(status)


def die_of(number: int) -> NoReturn:
    """Ends the process by a signal, as a command that got it would have ended. Leaves no core file of Python."""
    import resource

    with contextlib.suppress(OSError, ValueError):
        sys.stdout.flush()
    with contextlib.suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {number})
    os.kill(os.getpid(), number)
    # Only a signal that does not end a process comes here.
    os._exit(128 + number)


def say_bug(error: Exception) -> int:
    """Keeps an unexpected error's details in a file and says where. GLASSFS_DEBUG=1 prints them too."""
    import traceback

    details = "".join(traceback.format_exception(error))
    if os.environ.get("GLASSFS_DEBUG", "0") not in ("", "0"):
        print(details, file=sys.stderr, end="")
    what = shown(f"{type(error).__name__}: {error}".strip().rstrip(":"))
    talk(f"this is a bug in glassfs ({what}); {written(details)}")
    return BUG


def written(details: str) -> str:
    import platform
    import tempfile

    head = f"{' '.join(sys.argv)}\nPython {sys.version}\n{platform.platform()}\n\n"
    try:
        descriptor, path = tempfile.mkstemp(prefix=DETAILS_PREFIX, suffix=".txt")
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            file.write(head + details)
    except OSError as error:
        return f"its details could not be written ({error.strerror}): GLASSFS_DEBUG=1 prints them"
    return f"the details, which name paths of yours, are in {shown(Path(path))}"
