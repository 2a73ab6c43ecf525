"""Every setting, its default and its meaning: docs/reference/config.md and config.example.yml are made from this.

Knows no file: `load` fills it. `examples` stand in the example file where a setting has no default.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta, Struct, field

Positive = Meta(gt=0)

# Seconds, a day. A longer wait is a mistyped one, and some clocks refuse it.
Period = Meta(gt=0, le=86_400)

# A century: before the year 1 there are no dates.
Days = Meta(gt=0, le=36_500)

# By dotted name. Never shown, never taken from a flag.
SECRETS = frozenset({"elastic.api_key", "elastic.password"})
_HIDDEN = frozenset(name.rpartition(".")[2] for name in SECRETS)


class Section(Struct, kw_only=True, frozen=True, forbid_unknown_fields=True):
    """A part of config.yml: unknown settings are errors."""

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        pairs = [(name, getattr(self, name)) for name in self.__struct_fields__]
        return [(name, "***" if name in _HIDDEN and value is not None else value) for name, value in pairs]

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"


class Traces(Section, frozen=True):
    """Which traces are followed."""

    follow: Annotated[
        Literal["all"] | list[str],
        Meta(description="all traces of this user's state directory, past and live, or a list of names, ids or paths"),
    ] = "all"


class Sampler(Section, frozen=True):
    """The machine's own figures, in Metricbeat's shape."""

    enabled: Annotated[bool, Meta(description="Record the machine's resources beside the traces")] = True
    period_s: Annotated[float, Period, Meta(description="Seconds from one sample to the next")] = 5.0
    top_processes: Annotated[
        int,
        Meta(
            ge=0, description="Processes kept of those with most CPU, memory and disk I/O each; traced ones always are"
        ),
    ] = 10


class HashPaths(Section, frozen=True):
    """Names of files and directories replaced by keyed hashes before they are shipped."""

    enabled: Annotated[bool, Meta(description="Ship hashes instead of names")] = False
    key_file: Annotated[
        str | None,
        Meta(
            description="File with the key, 16 bytes or more; the same key gives the same hashes on every machine",
            examples=["path-hash.key"],
        ),
    ] = None


class Elastic(Section, frozen=True):
    """Elasticsearch or OpenSearch."""

    enabled: Annotated[bool, Meta(description="Ship what is recorded")] = False
    hosts: Annotated[
        list[str], Meta(min_length=1, description="Addresses of one cluster; the next is tried when one fails")
    ] = field(default_factory=lambda: ["http://127.0.0.1:9200"])
    api_key: Annotated[
        str | None,
        Meta(
            description="API key, as id:key or in its base64 form; better in api_key_file or the environment",
            examples=["id:key"],
        ),
    ] = None
    api_key_file: Annotated[
        str | None, Meta(description="File with the API key on one line", examples=["elastic.key"])
    ] = None
    user: Annotated[str | None, Meta(description="User name, instead of an API key", examples=["glassfs"])] = None
    password: Annotated[
        str | None,
        Meta(description="The user's password; better in password_file or the environment", examples=["correct horse"]),
    ] = None
    password_file: Annotated[
        str | None, Meta(description="File with the password on one line", examples=["elastic.password"])
    ] = None
    ca_file: Annotated[
        str | None,
        Meta(
            description="Certificate of the authority that vouches for the server's https",
            examples=["/etc/elasticsearch/certs/http_ca.crt"],
        ),
    ] = None
    allow_insecure_http: Annotated[
        bool, Meta(description="Allow http:// to a host that is not this one: names and keys travel in the clear")
    ] = False
    namespace: Annotated[
        str,
        Meta(
            pattern=r"^[a-z0-9][a-z0-9_.]{0,99}$",
            description="Part of every index's name: keeps teams or uses apart",
            extra={"allowed": "small letters, digits, _ and ., at most 100"},
        ),
    ] = "default"
    ship: Annotated[
        Literal["all", "slow", "errors", "sampled", "totals"],
        Meta(
            description="Which calls become documents: all, slow (slow_ms or longer), errors (those that failed), "
            "sampled (one in sample_one_in) or totals (none). Totals are exact and always shipped"
        ),
    ] = "all"
    slow_ms: Annotated[
        float, Positive, Meta(description="With ship: slow, calls that took at least so many milliseconds")
    ] = 10.0
    sample_one_in: Annotated[int, Positive, Meta(description="With ship: sampled, one call in so many")] = 100
    index_per: Annotated[
        Literal["day", "hour"], Meta(description="One index of events for each UTC day or, for heavy use, each hour")
    ] = "day"
    retention_days: Annotated[
        int, Days, Meta(description="Days that every call stays at least; an index goes one day later, as a whole")
    ] = 7
    when_behind: Annotated[
        Literal["wait", "totals"],
        Meta(
            description="If the cluster cannot keep up: wait (all is shipped, but later) or totals (single calls are "
            "left out and counted)"
        ),
    ] = "wait"
    behind_s: Annotated[
        float, Period, Meta(description="With when_behind: totals, the lag in seconds at which that begins")
    ] = 300.0
    hash_paths: HashPaths = field(default_factory=HashPaths)


class Settings(Section, frozen=True):
    """All of config.yml."""

    traces: Traces = field(default_factory=Traces)
    labels: Annotated[
        dict[str, str],
        Meta(description="Put on every document, as labels.NAME", examples=["{team: storage, rack: b7}"]),
    ] = field(default_factory=dict)
    sampler: Sampler = field(default_factory=Sampler)
    elastic: Elastic = field(default_factory=Elastic)
