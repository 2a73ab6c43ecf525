"""What stat, statx and statfs say, and how the times move and can be set."""

import os
from pathlib import Path

import syscalls
from kit import behaviour, let_clock_advance, mode_of, outcome, read_file, tried, write_file
from syscalls import UTIME_NOW, UTIME_OMIT, utimensat


@behaviour
def birth_times(place: Path) -> object:
    write_file(place / "file")
    first = syscalls.statx(place / "file")
    let_clock_advance()
    write_file(place / "file", b"later")
    os.chmod(place / "file", 0o600)
    again = syscalls.statx(place / "file")
    os.mkdir(place / "d")
    folder = syscalls.statx(place / "d")
    return (
        bool(first.mask & syscalls.STATX_BTIME),
        first.born_ns() > 0,
        first.born_ns() == again.born_ns(),
        bool(folder.mask & syscalls.STATX_BTIME),
    )


@behaviour
def statx_agrees_with_stat(place: Path) -> object:
    write_file(place / "file", b"x" * 5000)
    extended, plain = syscalls.statx(place / "file"), os.stat(place / "file")
    return (
        extended.size == plain.st_size,
        extended.inode == plain.st_ino,
        extended.mode == plain.st_mode,
        extended.links == plain.st_nlink,
        extended.blocks == plain.st_blocks,
        extended.block_size == plain.st_blksize,
        extended.modified.nanoseconds == plain.st_mtime_ns % 1_000_000_000,
        f"{extended.mask & 0x7FF:x}",
    )


@behaviour
def sizes_are_right_just_after_each_change(place: Path) -> object:
    """Each look comes so soon after the last one that attributes might still be kept."""
    file = place / "file"
    write_file(file, b"x" * 100)
    one, other = os.open(file, os.O_RDWR), os.open(file, os.O_RDWR | os.O_APPEND)
    write_file(place / "source", b"s" * 50)
    source = os.open(place / "source", os.O_RDONLY)
    sizes = []
    for change in (
        lambda: os.pwrite(one, b"y", 299),
        lambda: os.write(other, b"z" * 10),
        lambda: os.ftruncate(one, 20),
        lambda: os.truncate(file, 40),
        lambda: os.posix_fallocate(one, 0, 70),
        lambda: os.copy_file_range(source, one, 50, 0, 90),
        lambda: os.sendfile(one, source, 0, 10),
        lambda: os.pwritev(one, [b"1", b"2"], 500),
        lambda: os.close(os.open(file, os.O_WRONLY | os.O_TRUNC)),
    ):
        before = os.fstat(one).st_size, os.lseek(other, 0, os.SEEK_END)
        change()
        after = os.lseek(other, 0, os.SEEK_END), os.fstat(one).st_size, os.fstat(other).st_size, os.stat(file).st_size
        sizes.append((before, after))
    return sizes


@behaviour
def set_id_bits_are_gone_just_after_a_write(place: Path) -> object:
    file = place / "file"
    write_file(file, b"x" * 100)
    os.chmod(file, 0o755)
    descriptor = os.open(file, os.O_RDWR)
    modes = []
    for mode in (0o4755, 0o2755, 0o6711):
        os.fstat(descriptor)
        os.chmod(file, mode)
        set_to = mode_of(file)
        os.write(descriptor, b"y")
        modes.append((set_to, mode_of(file), oct(os.fstat(descriptor).st_mode)))
    return modes


@behaviour
def links_are_counted_just_after_each_change(place: Path) -> object:
    file = place / "file"
    write_file(file)
    descriptor = os.open(file, os.O_RDONLY)
    counts = [os.fstat(descriptor).st_nlink]
    for change in (
        lambda: os.link(file, place / "other"),
        lambda: os.rename(place / "other", place / "third"),
        lambda: os.unlink(file),
        lambda: os.rename(place / "third", file),
        lambda: os.replace(file, place / "last"),
        lambda: os.unlink(place / "last"),
    ):
        change()
        counts.append(os.fstat(descriptor).st_nlink)
    return counts


@behaviour
def times_move_as_they_should(place: Path) -> object:
    file = place / "file"
    write_file(file, b"content")
    os.utime(file, (1_000_000_000, 1_000_000_000))
    answers = {}
    for name, work in (
        ("read", lambda: read_file(file)),
        ("write", lambda: os.write(os.open(file, os.O_WRONLY), b"x")),
        ("chmod", lambda: os.chmod(file, 0o600)),
        ("link", lambda: os.link(file, place / "link")),
        ("unlink", lambda: os.unlink(place / "link")),
        ("truncate", lambda: os.truncate(file, 3)),
        ("truncate same", lambda: os.truncate(file, 3)),
        ("ftruncate same", lambda: os.ftruncate(os.open(file, os.O_RDWR), 3)),
        ("xattr", lambda: os.setxattr(file, "user.a", b"1")),
        ("write nothing", lambda: os.write(os.open(file, os.O_WRONLY), b"")),
        ("open", lambda: os.open(file, os.O_RDWR)),
        ("chown", lambda: os.chown(file, -1, -1)),
        ("fallocate", lambda: syscalls.fallocate(os.open(file, os.O_RDWR), 0, 0, 100)),
        ("fsync", lambda: os.fsync(os.open(file, os.O_RDWR))),
    ):
        before = os.stat(file)
        let_clock_advance()
        work()
        after = os.stat(file)
        answers[name] = "".join(
            letter if getattr(after, field) > getattr(before, field) else "-"
            for letter, field in (("a", "st_atime_ns"), ("m", "st_mtime_ns"), ("c", "st_ctime_ns"))
        )
    return answers


@behaviour
def access_time_of_a_read_follows_the_filesystem(place: Path) -> object:
    write_file(place / "file", b"content")
    os.utime(place / "file", (1, 2_000_000_000))
    read_file(place / "file")
    first = os.stat(place / "file").st_atime > 1_000_000
    descriptor = os.open(place / "file", os.O_RDONLY | os.O_NOATIME)
    os.utime(place / "file", (1, 2_000_000_000))
    os.read(descriptor, 3)
    return first, os.stat(place / "file").st_atime > 1_000_000


@behaviour
def setting_times_to_the_nanosecond(place: Path) -> object:
    write_file(place / "file")
    os.utime(place / "file", ns=(1_234_567_890_123_456_789, 987_654_321_000_000_001))
    facts = os.stat(place / "file")
    return facts.st_atime_ns, facts.st_mtime_ns


@behaviour
def extreme_times(place: Path) -> object:
    write_file(place / "file")
    answers = {}
    for name, seconds in (
        ("1901", -(1 << 31)),
        ("before", -(1 << 31) - 1),
        ("1969", -1),
        ("2038", (1 << 31) + 5),
        ("2106", (1 << 32) + 5),
        ("2446", 15032385535),
        ("beyond", 1 << 40),
    ):
        done = tried(utimensat, place / "file", (seconds, 5), (seconds, 7))
        answers[name] = (done, os.stat(place / "file").st_mtime_ns, os.stat(place / "file").st_atime_ns)
    return answers


@behaviour
def now_and_omitted_times(place: Path) -> object:
    file = place / "file"
    write_file(file)
    os.utime(file, (100, 200))
    utimensat(file, (0, UTIME_OMIT), (300, 0))
    first = int(os.stat(file).st_atime), int(os.stat(file).st_mtime)
    utimensat(file, (400, 0), (0, UTIME_OMIT))
    second = int(os.stat(file).st_atime), int(os.stat(file).st_mtime)
    utimensat(file, (0, UTIME_NOW), (500, 0))
    third = os.stat(file).st_atime > 1_000_000, int(os.stat(file).st_mtime)
    before = os.stat(file).st_ctime_ns
    let_clock_advance()
    utimensat(file, (0, UTIME_OMIT), (0, UTIME_OMIT))
    unchanged = os.stat(file).st_ctime_ns == before
    utimensat(file, (0, UTIME_NOW), (0, UTIME_NOW))
    facts = os.stat(file)
    return (
        first,
        second,
        third,
        unchanged,
        facts.st_atime_ns == facts.st_mtime_ns,
        tried(utimensat, file, (0, 1 << 29 | 1 << 30 | 5), (0, 0)),
    )


@behaviour
def modes_of_all_kinds(place: Path) -> object:
    write_file(place / "file")
    os.mkdir(place / "d")
    answers = []
    for mode in (0o000, 0o777, 0o1777, 0o2711, 0o4711, 0o7777):
        answers.append(
            (
                f"{mode:o}",
                tried(os.chmod, place / "file", mode),
                mode_of(place / "file"),
                tried(os.chmod, place / "d", mode),
                mode_of(place / "d"),
            )
        )
    os.chmod(place / "d", 0o755)
    return answers


@behaviour(root=True)
def owners_of_all_sizes(place: Path) -> object:
    write_file(place / "file")
    answers = []
    for uid, gid in (
        (0, 0),
        (1, 2),
        (65534, 65534),
        (100_000, 200_000),
        (4_294_967_294, 4_294_967_294),
        (-1, 5),
        (7, -1),
    ):
        done = tried(os.chown, place / "file", uid, gid)
        answers.append((done, os.stat(place / "file").st_uid, os.stat(place / "file").st_gid))
    return answers


@behaviour
def sizes_of_directories_links_and_empty_files(place: Path) -> object:
    write_file(place / "empty")
    os.symlink("target", place / "link")
    os.mkdir(place / "d")
    return [
        (os.lstat(place / name).st_size, os.lstat(place / name).st_blocks, os.lstat(place / name).st_nlink)
        for name in ("empty", "link", "d")
    ]


@behaviour
def statfs_is_plausible(place: Path) -> object:
    facts = os.statvfs(place)
    free = facts.f_bfree
    write_file(place / "file", b"x" * 3_000_000)
    descriptor = os.open(place / "file", os.O_RDWR)
    os.fsync(descriptor)
    return {
        "block": facts.f_bsize,
        "fragment": facts.f_frsize,
        "names": facts.f_namemax,
        "blocks": facts.f_blocks > 0,
        "free": facts.f_bavail <= facts.f_bfree <= facts.f_blocks,
        "files": 0 < facts.f_ffree < facts.f_files,
        "used": os.statvfs(place / "file").f_bfree < free,
        "by descriptor": os.fstatvfs(descriptor).f_blocks == facts.f_blocks,
        "totals": (facts.f_blocks, facts.f_files),
    }


@behaviour
def flags_of_the_mount(place: Path) -> object:
    flags = os.statvfs(place).f_flag
    names = (
        ("ro", os.ST_RDONLY),
        ("nosuid", os.ST_NOSUID),
        ("nodev", os.ST_NODEV),
        ("noexec", os.ST_NOEXEC),
        ("sync", os.ST_SYNCHRONOUS),
        ("noatime", os.ST_NOATIME),
    )
    return [name for name, bit in names if flags & bit]


@behaviour
def the_filesystems_type(place: Path) -> object:
    buffer = syscalls.ctypes.create_string_buffer(256)
    syscalls.checked(syscalls.libc.statfs(os.fsencode(place), buffer))
    return hex(int.from_bytes(buffer.raw[:8], "little"))


@behaviour
def access_answers(place: Path) -> object:
    write_file(place / "file")
    os.chmod(place / "file", 0o755)
    os.symlink("nowhere", place / "dangling")
    return [
        os.access(place / name, how) for name in ("file", "no", "dangling", ".") for how in (os.F_OK, os.R_OK, os.X_OK)
    ], outcome(lambda: mode_of(place / "file"))
