"""Every field of every document we ship, its type and its meaning: templates, docs/reference/fields.md and the tests
are made from this. Knows no server.

Names are ECS's where ECS has one; what it has not stands under `glassfs`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

ECS_VERSION = "9.4.0"


class Type(StrEnum):
    """What a field holds; `templates` says what that is on which server."""

    DATE = "date"
    """A moment: RFC 3339 in UTC with nine decimals. Mapped as date_nanos."""
    KEYWORD = "keyword"
    """A word to filter and group by."""
    PATH = "path"
    """A path: a keyword as long as a path may be."""
    TREE = "tree"
    """A path that also has `.tree`: a filter on a folder there finds all below it, where the server can do that."""
    WILDCARD = "wildcard"
    """Long text searched by parts of it; a keyword where the server has no wildcard type."""
    LONG = "long"
    """A whole number, exact to 2^63."""
    DOUBLE = "double"
    BOOLEAN = "boolean"
    LABELS = "labels"
    """Names of the user's own, each a keyword."""


@dataclass(frozen=True)
class Field:
    name: str
    type: Type
    description: str

    @property
    def is_ecs(self) -> bool:
        return not self.name.startswith(("glassfs.", "_"))


_COMMON = (
    Field("ecs.version", Type.KEYWORD, f"The release of ECS that the names follow: {ECS_VERSION}"),
    Field("event.module", Type.KEYWORD, "Always glassfs"),
    Field("event.provider", Type.KEYWORD, "Always fuse"),
    Field("host.name", Type.KEYWORD, "The machine; Metricbeat's documents bear the same"),
    Field("labels", Type.LABELS, "The labels of config.yml, as labels.NAME"),
    Field("glassfs.trace.id", Type.KEYWORD, "The trace's id, 32 hexadecimal digits"),
    Field("glassfs.trace.name", Type.KEYWORD, "The trace's name"),
)

_CALL = (
    Field("event.category", Type.KEYWORD, "Always file"),
    Field("event.type", Type.KEYWORD, "access, change, creation, deletion or info"),
    Field("event.action", Type.KEYWORD, "The op: read, write, open, rename ..."),
    Field("event.outcome", Type.KEYWORD, "success or failure"),
    Field("error.code", Type.KEYWORD, "The error's name, such as ENOENT; absent if there was none"),
    Field("glassfs.class", Type.KEYWORD, "read, write, sync, open, metadata or namespace"),
    Field("glassfs.kind", Type.KEYWORD, "call, request, io_uring or aio (libaio)"),
    Field("glassfs.errno", Type.LONG, "0 or the error number"),
)

_EVENTS = (
    Field("@timestamp", Type.DATE, "When the call began"),
    Field("event.kind", Type.KEYWORD, "Always event"),
    Field("event.dataset", Type.KEYWORD, "Always glassfs.events"),
    Field("event.duration", Type.LONG, "Nanoseconds from the call's arrival to its answer"),
    Field("event.sequence", Type.LONG, "Place in its stream: orders calls that began at the same time"),
    Field("file.path", Type.TREE, "Absolute path as the program could name it; a byte that is not UTF-8 is \\xHH"),
    Field("file.name", Type.PATH, "The path's last component"),
    Field("file.directory", Type.PATH, "The path without its last component"),
    Field("file.extension", Type.KEYWORD, "After the name's last dot, without the dot"),
    Field("file.inode", Type.KEYWORD, "Inode number; a keyword, since numbers above 2^53 are rounded by browsers"),
    Field("file.type", Type.KEYWORD, "file, dir, symlink, fifo, socket, char_device or block_device"),
    Field("file.target_path", Type.PATH, "Where a symlink that was made points"),
    Field("process.pid", Type.LONG, "Process id"),
    Field("process.name", Type.KEYWORD, "The process's name"),
    Field("process.executable", Type.PATH, "Path of the program"),
    Field("process.command_line", Type.WILDCARD, "Arguments joined by spaces, secrets masked as ***"),
    Field("process.parent.pid", Type.LONG, "The parent's process id"),
    Field("process.thread.id", Type.LONG, "Thread id"),
    Field("process.thread.name", Type.KEYWORD, "The thread's name"),
    Field("user.id", Type.KEYWORD, "The caller's filesystem user id"),
    Field("group.id", Type.KEYWORD, "The caller's filesystem group id"),
    Field("glassfs.stream", Type.LONG, "Which producer's queue it came through; with event.sequence unique in a trace"),
    Field("glassfs.origin", Type.KEYWORD, "program, or kernel (page faults, writeback)"),
    Field("glassfs.plane", Type.KEYWORD, "daemon or kernel: which way of seeing it came from"),
    Field("glassfs.requests", Type.LONG, "FUSE requests it took"),
    Field("glassfs.syscall_nr", Type.LONG, "The exact system call (kernel plane), by its 64-bit number"),
    Field("glassfs.backing_ns", Type.LONG, "Nanoseconds in the backing filesystem's call alone"),
    Field("glassfs.offset", Type.LONG, "Where in the file, bytes"),
    Field("glassfs.size", Type.LONG, "Bytes asked for"),
    Field("glassfs.result", Type.LONG, "Bytes moved, an lseek's new offset, or 0"),
    Field("glassfs.bytes", Type.LONG, "Bytes moved by reads and writes, as the report counts them"),
    Field("glassfs.flags", Type.LONG, "The call's flags (O_* of an open, RENAME_* of a rename ...)"),
    Field("glassfs.mode", Type.LONG, "Mode bits of a create, mkdir, mknod or chmod"),
    Field("glassfs.dev", Type.KEYWORD, "Device number of the backing filesystem"),
    Field("glassfs.fh", Type.KEYWORD, "The open file's number, from open to release"),
    Field("glassfs.family", Type.KEYWORD, "What the file is to a database: rocksdb.sst ...; absent with hash_paths"),
    Field(
        "glassfs.relation", Type.KEYWORD, "Its table or index, where `glassfs names` has asked: database.schema.name"
    ),
    Field("glassfs.path2", Type.PATH, "The other name of a rename, link or copy"),
)

_TOTALS = (
    Field("@timestamp", Type.DATE, "The second in which the calls began"),
    Field("event.kind", Type.KEYWORD, "Always metric"),
    Field("event.dataset", Type.KEYWORD, "Always glassfs.totals"),
    Field("glassfs.latency.bucket", Type.LONG, "Index i of the duration's bucket, 8 an octave"),
    Field("glassfs.latency.ge_ns", Type.DOUBLE, "The bucket's lower end in nanoseconds, 2^(i/8), not in it"),
    Field("glassfs.latency.le_ns", Type.DOUBLE, "The bucket's upper end in nanoseconds, 2^((i+1)/8), in it"),
    Field("glassfs.totals.calls", Type.LONG, "Calls of the second, on its first bucket's document only, as all below"),
    Field("glassfs.totals.bytes", Type.LONG, "Bytes they moved"),
    Field("glassfs.totals.duration_ns", Type.LONG, "Sum of their durations"),
    Field("glassfs.totals.backing_ns", Type.LONG, "Sum of the times in the backing calls, as far as known"),
    Field("glassfs.totals.min_ns", Type.LONG, "Shortest duration"),
    Field("glassfs.totals.max_ns", Type.LONG, "Longest duration"),
)

_TRACES = (
    Field("@timestamp", Type.DATE, "When the trace began"),
    Field("event.kind", Type.KEYWORD, "Always state"),
    Field("event.dataset", Type.KEYWORD, "Always glassfs.traces"),
    Field("event.start", Type.DATE, "When the trace began"),
    Field("event.end", Type.DATE, "When it ended; absent while it runs, or if it ended without a goodbye"),
    Field("event.duration", Type.LONG, "Nanoseconds from start to end"),
    Field("host.os.kernel", Type.KEYWORD, "The kernel's release"),
    Field("host.boot.id", Type.KEYWORD, "The machine's boot id"),
    Field("process.command_line", Type.WILDCARD, "The command that was run, secrets masked as ***"),
    Field("process.args", Type.KEYWORD, "Its arguments, one by one"),
    Field("process.working_directory", Type.PATH, "Where it was run"),
    Field("process.pid", Type.LONG, "Its process id"),
    Field("process.exit_code", Type.LONG, "Its exit status"),
    Field("user.id", Type.KEYWORD, "Who ran it"),
    Field("glassfs.trace.state", Type.KEYWORD, "live, finished, or ended without a goodbye"),
    Field("glassfs.trace.end_reason", Type.KEYWORD, "Why it ended"),
    Field("glassfs.trace.schema", Type.KEYWORD, "The trace's schema version"),
    Field("glassfs.trace.recorder", Type.KEYWORD, "The recorder's version"),
    Field("glassfs.plane", Type.KEYWORD, "daemon or kernel"),
    Field("glassfs.plane_reason", Type.KEYWORD, "Why that plane"),
    Field("glassfs.trace.mode", Type.KEYWORD, "default or exact"),
    Field("glassfs.mount.source", Type.PATH, "The directories that were traced"),
    Field("glassfs.mount.point", Type.PATH, "Where they were seen"),
    Field("glassfs.mount.fs_type", Type.KEYWORD, "Their filesystems"),
    Field("glassfs.option.max_bytes", Type.LONG, "The trace's size limit"),
    Field("glassfs.option.min_free_percent", Type.LONG, "Free space on its disk below which only totals are kept"),
    Field("glassfs.command.signal", Type.LONG, "The signal that ended the command"),
    Field("glassfs.command.read_bytes", Type.LONG, "Bytes that the command's whole process tree read, anywhere"),
    Field("glassfs.command.written_bytes", Type.LONG, "Bytes that it wrote, anywhere"),
    Field("glassfs.ledger.seen", Type.LONG, "Calls seen: stored and dropped"),
    Field("glassfs.ledger.stored", Type.LONG, "Calls stored one by one"),
    Field("glassfs.ledger.dropped", Type.LONG, "Calls that are only in the totals, by reason below"),
    Field("glassfs.ledger.lost.queue_full", Type.LONG, "Dropped: the recorder's queue was full"),
    Field("glassfs.ledger.lost.trace_disk_full", Type.LONG, "Dropped: the trace's disk was full"),
    Field("glassfs.ledger.lost.trace_disk_error", Type.LONG, "Dropped: the trace's disk failed"),
    Field("glassfs.ledger.lost.low_disk_space", Type.LONG, "Dropped: free space was below the limit"),
    Field("glassfs.ledger.removed", Type.LONG, "Stored, and later removed by the trace's size limit"),
    Field("glassfs.ledger.shipped", Type.LONG, "Calls that the cluster has"),
    Field("glassfs.ledger.rejected", Type.LONG, "Calls that the cluster refused"),
    Field("glassfs.ledger.expired", Type.LONG, "Calls not shipped: older than what the cluster keeps"),
    Field("glassfs.ledger.left_out", Type.LONG, "Calls not shipped: not chosen by elastic.ship"),
    Field("glassfs.ledger.skipped", Type.LONG, "Calls not shipped: left to the totals by elastic.when_behind"),
    Field("glassfs.ledger.removed_unshipped", Type.LONG, "Calls removed by the size limit before they were shipped"),
    Field("glassfs.ledger.unreadable", Type.LONG, "Calls in damaged segments"),
)


def _group(*parts: tuple[Field, ...]) -> tuple[Field, ...]:
    return tuple(sorted((field for part in parts for field in part), key=lambda field: field.name))


GROUPS: dict[str, tuple[Field, ...]] = {
    "events": _group(_COMMON, _CALL, _EVENTS),
    "totals": _group(_COMMON, _CALL, _TOTALS),
    "traces": _group(_COMMON, _TRACES),
}
