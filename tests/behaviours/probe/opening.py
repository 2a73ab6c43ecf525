"""open in all its forms, and files that are used after their name is gone."""

import fcntl
import os
from pathlib import Path

import syscalls
from kit import ANA, as_user, behaviour, mode_of, outcome, read_file, tried, write_file


def _try_open(path: Path | str | bytes, flags: int, mode: int = 0o644) -> str:
    return tried(lambda: os.close(os.open(path, flags, mode)))


@behaviour
def exclusive_creation(place: Path) -> object:
    write_file(place / "file")
    os.symlink("nowhere", place / "dangling")
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR
    return {
        "existing": _try_open(place / "file", flags),
        "dangling": _try_open(place / "dangling", flags),
        "directory": _try_open(place, flags),
        "new": _try_open(place / "new", flags),
        "through dangling": _try_open(place / "dangling", os.O_CREAT | os.O_RDWR),
        "made": sorted(os.listdir(place)),
    }


@behaviour
def opens_that_must_fail(place: Path) -> object:
    write_file(place / "file")
    os.symlink("file", place / "link")
    os.symlink("loop", place / "loop")
    return {
        "nofollow": _try_open(place / "link", os.O_RDONLY | os.O_NOFOLLOW),
        "loop": _try_open(place / "loop", os.O_RDONLY),
        "directory of a file": _try_open(place / "file", os.O_RDONLY | os.O_DIRECTORY),
        "write a directory": _try_open(place, os.O_WRONLY),
        "create a directory": _try_open(f"{place}/", os.O_CREAT | os.O_RDWR),
        "create with slash": _try_open(f"{place}/new/", os.O_CREAT | os.O_RDWR),
        "missing": _try_open(place / "no", os.O_RDONLY),
        "under a file": _try_open(place / "file/x", os.O_RDONLY),
        "missing parent": _try_open(place / "no/new", os.O_CREAT | os.O_RDWR),
        "slash after a file": _try_open(f"{place}/file/", os.O_RDONLY),
        "empty": _try_open("", os.O_RDONLY),
    }


@behaviour
def a_mode_without_write_still_gives_a_writable_descriptor(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o000)
    written = os.write(descriptor, b"abc")
    os.chmod(place / "file", 0o444)
    return written, os.pread(descriptor, 3, 0), mode_of(place / "file"), tried(os.ftruncate, descriptor, 1)


@behaviour(root=True)
def a_descriptor_outlives_its_permission(place: Path) -> object:
    file = place / "file"
    write_file(file, b"abc")
    os.chown(file, ANA, ANA)

    def work() -> object:
        descriptor = os.open(file, os.O_RDWR)
        os.chmod(file, 0)
        return (
            os.read(descriptor, 3),
            tried(os.write, descriptor, b"x"),
            tried(os.open, file, os.O_RDONLY),
            tried(os.ftruncate, descriptor, 0),
        )

    return as_user(work)


@behaviour
def a_file_used_after_unlink(place: Path) -> object:
    descriptor = os.open(place / "file", os.O_CREAT | os.O_RDWR, 0o644)
    os.write(descriptor, b"0123456789")
    os.unlink(place / "file")
    again = os.open(f"/proc/self/fd/{descriptor}", os.O_RDWR)
    return {
        "links": os.fstat(descriptor).st_nlink,
        "read": os.pread(descriptor, 3, 0),
        "write": tried(os.pwrite, descriptor, b"xx", 4),
        "truncate": tried(os.ftruncate, descriptor, 8),
        "chmod": tried(os.fchmod, descriptor, 0o600),
        "times": tried(os.utime, descriptor, (7, 7)),
        "xattr": tried(os.setxattr, descriptor, "user.a", b"1"),
        "list": os.listxattr(descriptor),
        "sync": tried(os.fsync, descriptor),
        "again": os.pread(again, 20, 0),
        "mode": f"{os.fstat(again).st_mode & 0o777:o}",
        "mtime": int(os.fstat(again).st_mtime),
        "allocate": tried(syscalls.fallocate, descriptor, 0, 0, 8192),
        "size": os.fstat(again).st_size,
        "listed": os.listdir(place),
        "truncating open": _try_open(f"/proc/self/fd/{descriptor}", os.O_RDWR | os.O_TRUNC),
        "then": os.fstat(again).st_size,
        "chown": tried(os.fchown, descriptor, -1, -1),
        "statvfs": tried(os.fstatvfs, descriptor),
    }


@behaviour
def linking_an_unlinked_file_back(place: Path) -> object:
    write_file(place / "file", b"abc")
    descriptor = os.open(place / "file", os.O_RDWR)
    os.unlink(place / "file")
    return tried(
        syscalls.linkat, syscalls.AT_FDCWD, f"/proc/self/fd/{descriptor}", place / "back", syscalls.AT_SYMLINK_FOLLOW
    )


@behaviour
def many_unlinked_files_keep_their_own_content(place: Path) -> object:
    held = []
    for number in range(200):
        descriptor = os.open(place / "same", os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o644)
        os.write(descriptor, b"%05d" % number)
        os.unlink(place / "same")
        held.append(descriptor)
    return all(os.pread(descriptor, 5, 0) == b"%05d" % number for number, descriptor in enumerate(held)), os.listdir(
        place
    )


@behaviour
def a_reused_name_is_another_file(place: Path) -> object:
    write_file(place / "file", b"old")
    old = os.open(place / "file", os.O_RDWR)
    os.unlink(place / "file")
    write_file(place / "file", b"new")
    os.pwrite(old, b"OLD", 0)
    return os.pread(old, 3, 0), read_file(place / "file"), os.fstat(old).st_ino != os.stat(place / "file").st_ino


@behaviour
def a_nameless_file_gets_a_name(place: Path) -> object:
    os.umask(0o027)
    descriptor = os.open(place, os.O_TMPFILE | os.O_RDWR, 0o666)
    os.write(descriptor, b"content")
    before = os.fstat(descriptor).st_nlink
    linked = tried(
        syscalls.linkat, syscalls.AT_FDCWD, f"/proc/self/fd/{descriptor}", place / "named", syscalls.AT_SYMLINK_FOLLOW
    )
    return before, linked, os.fstat(descriptor).st_nlink, read_file(place / "named"), mode_of(place / "named")


@behaviour
def a_nameless_file_that_stays_nameless(place: Path) -> object:
    descriptor = os.open(place, os.O_TMPFILE | os.O_EXCL | os.O_RDWR, 0o600)
    refused = tried(
        syscalls.linkat, syscalls.AT_FDCWD, f"/proc/self/fd/{descriptor}", place / "named", syscalls.AT_SYMLINK_FOLLOW
    )
    return (
        refused,
        _try_open(place, os.O_TMPFILE | os.O_RDONLY),
        _try_open(place / "no", os.O_TMPFILE | os.O_RDWR),
        os.listdir(place),
    )


@behaviour
def path_descriptors(place: Path) -> object:
    write_file(place / "file", b"abc")
    os.symlink("file", place / "link")
    path = os.open(place / "file", os.O_PATH)
    link = os.open(place / "link", os.O_PATH | os.O_NOFOLLOW)
    folder = os.open(place, os.O_PATH)
    return {
        "size": os.fstat(path).st_size,
        "read": tried(os.read, path, 1),
        "chmod": tried(os.fchmod, path, 0o600),
        "xattr": tried(os.getxattr, path, "user.a"),
        "link": os.readlink("", dir_fd=link),
        "at": os.read(os.open("file", os.O_RDONLY, dir_fd=folder), 3),
        "list": tried(os.listdir, folder),
        "reopen": os.read(os.open(f"/proc/self/fd/{path}", os.O_RDONLY), 3),
        "chdir": tried(os.fchdir, folder),
        "chmod by proc": tried(os.chmod, f"/proc/self/fd/{path}", 0o640),
        "mode": mode_of(place / "file"),
        "sync": tried(os.fsync, path),
    }


@behaviour
def resolution_limits_of_openat2(place: Path) -> object:
    os.makedirs(place / "in/deep")
    write_file(place / "in/deep/file", b"x")
    os.symlink("deep", place / "in/link")
    os.symlink("../../outside", place / "in/escape")
    os.symlink(f"{place}/in/deep", place / "in/absolute")
    folder = os.open(place / "in", os.O_PATH)

    def at(path: str, resolve: int) -> str:
        return tried(lambda: os.close(syscalls.openat2(folder, path, os.O_RDONLY, resolve)))

    return {
        "beneath": at("deep/file", syscalls.RESOLVE_BENEATH),
        "dots": at("deep/../deep/file", syscalls.RESOLVE_BENEATH),
        "out": at("../in/deep/file", syscalls.RESOLVE_BENEATH),
        "link": at("link/file", syscalls.RESOLVE_BENEATH),
        "no links": at("link/file", syscalls.RESOLVE_NO_SYMLINKS),
        "escape": at("escape", syscalls.RESOLVE_BENEATH),
        "absolute": at("absolute/file", syscalls.RESOLVE_BENEATH),
        "in root": at("/deep/file", syscalls.RESOLVE_IN_ROOT),
        "same device": at("deep/file", syscalls.RESOLVE_NO_XDEV),
        "no magic": at("deep/file", syscalls.RESOLVE_NO_MAGICLINKS),
        "unknown": at("deep/file", 1 << 40),
    }


@behaviour
def five_hundred_open_files(place: Path) -> object:
    held = []
    for number in range(500):
        held.append(os.open(place / f"{number}", os.O_CREAT | os.O_RDWR, 0o644))
        os.write(held[-1], b"%d" % number)
    return all(os.pread(one, 9, 0) == b"%d" % number for number, one in enumerate(held)), len(os.listdir(place))


@behaviour
def flags_that_a_descriptor_reports(place: Path) -> object:
    interesting = os.O_ACCMODE | os.O_APPEND | os.O_NONBLOCK | os.O_DIRECT | os.O_NOATIME | os.O_SYNC | os.O_PATH
    write_file(place / "file")
    return [
        f"{fcntl.fcntl(os.open(place / 'file', flags), fcntl.F_GETFL) & interesting:o}"
        for flags in (
            os.O_RDONLY,
            os.O_RDWR | os.O_APPEND,
            os.O_WRONLY | os.O_NONBLOCK,
            os.O_RDWR | os.O_NOATIME,
            os.O_RDWR | os.O_SYNC,
            os.O_PATH,
        )
    ]


@behaviour
def what_proc_says_of_a_descriptor(place: Path) -> object:
    write_file(place / "file")
    descriptor = os.open(place / "file", os.O_RDONLY)
    shown = os.readlink(f"/proc/self/fd/{descriptor}")
    os.rename(place / "file", place / "renamed")
    moved = os.readlink(f"/proc/self/fd/{descriptor}")
    os.unlink(place / "renamed")
    gone = os.readlink(f"/proc/self/fd/{descriptor}")
    return [outcome(lambda text=text: text.removeprefix(str(place))) for text in (shown, moved, gone)]
