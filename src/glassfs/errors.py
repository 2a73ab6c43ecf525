"""Every error glassfs raises on purpose. Only `cli` prints them and exits; foreign exceptions are mapped in the one
file that knows the library.

    GlassfsError                 what, where, next step; exit 1
    |-- BadUsage                 a name, filter or option that makes no sense; exit 2
    |   |-- TraceNotFound
    |   |-- AmbiguousTrace
    |   `-- QueryError           SQL that DuckDB refuses or that would write
    |-- QueryTimeout             the time limit given for a query has passed
    |-- DamagedTrace             a file of a trace cannot be read
    |-- TraceInUse               the trace is still being recorded
    |-- RunFailed                `run` itself failed, not its command; exit 125
    |-- AlreadySaid              the recorder has printed its own message; exits with its status
    `-- EnvironmentProblem       permission, kernel, missing part; exit 3
        |-- NewerSchema          a trace of a later glassfs
        |-- ServerUnreachable    no Elasticsearch there: no connection, TLS, a time limit
        `-- ServerRefused        it answered, and the answer was no
"""

from __future__ import annotations


class GlassfsError(Exception):
    """`what` went wrong, `where` (a path or object), and the `next_step` for the person who reads it."""

    exit_code = 1

    def __init__(self, what: str, *, where: str | None = None, next_step: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.next_step = next_step

    def __str__(self) -> str:
        head = f"{self.what}: {self.where}" if self.where else self.what
        return f"{head}\n  {self.next_step}" if self.next_step else head


class BadUsage(GlassfsError):
    exit_code = 2


class TraceNotFound(BadUsage):
    pass


class AmbiguousTrace(BadUsage):
    pass


class QueryError(BadUsage):
    pass


class QueryTimeout(GlassfsError):
    pass


class DamagedTrace(GlassfsError):
    pass


class TraceInUse(GlassfsError):
    pass


class EnvironmentProblem(GlassfsError):
    exit_code = 3


class NewerSchema(EnvironmentProblem):
    pass


class ServerUnreachable(EnvironmentProblem):
    pass


class ServerRefused(EnvironmentProblem):
    pass


class RunFailed(GlassfsError):
    exit_code = 125


class AlreadySaid(GlassfsError):
    """The recorder has printed its own message; what is left to do is to end with `exit_code`."""

    def __init__(self, exit_code: int) -> None:
        super().__init__("the recorder has said what went wrong")
        self.exit_code = exit_code
