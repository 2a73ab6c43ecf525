"""The system calls that Python's os module lacks, through libc; each raises OSError as os does."""

import ctypes
import mmap
import os
from dataclasses import dataclass
from pathlib import Path

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_SYMLINK_FOLLOW = 0x400
AT_SYMLINK_NOFOLLOW = 0x100
RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT = 1, 2, 4
UTIME_NOW, UTIME_OMIT = (1 << 30) - 1, (1 << 30) - 2
STATX_BTIME = 0x800
OPENAT2 = 437  # the same number on x86-64 and aarch64

libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def raw(path: Path | str | bytes) -> bytes:
    return os.fsencode(path)


def renameat2(old: Path | str | bytes, new: Path | str | bytes, flags: int) -> None:
    checked(libc.renameat2(AT_FDCWD, raw(old), AT_FDCWD, raw(new), ctypes.c_uint(flags)))


def linkat(old_directory: int, old: Path | str | bytes, new: Path | str | bytes, flags: int) -> None:
    checked(libc.linkat(old_directory, raw(old), AT_FDCWD, raw(new), flags))


def fallocate(descriptor: int, mode: int, offset: int, length: int) -> None:
    checked(libc.fallocate(descriptor, mode, ctypes.c_int64(offset), ctypes.c_int64(length)))


def syncfs(descriptor: int) -> None:
    checked(libc.syncfs(descriptor))


def sync_file_range(descriptor: int, offset: int, length: int, flags: int) -> None:
    checked(libc.sync_file_range(descriptor, ctypes.c_int64(offset), ctypes.c_int64(length), flags))


def shared_map(descriptor: int, length: int, protection: int) -> int:
    """Its address, which Python's own maps do not tell."""
    libc.mmap.restype = ctypes.c_void_p
    address = libc.mmap(None, ctypes.c_size_t(length), protection, mmap.MAP_SHARED, descriptor, ctypes.c_int64(0))
    if address == ctypes.c_void_p(-1).value:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(address)


def mprotect(address: int, length: int, protection: int) -> None:
    checked(libc.mprotect(ctypes.c_void_p(address), ctypes.c_size_t(length), protection))


class Timespec(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_int64)]


def utimensat(path: Path | str, access: tuple[int, int], change: tuple[int, int], flags: int = 0) -> None:
    times = (Timespec * 2)(Timespec(*access), Timespec(*change))
    checked(libc.utimensat(AT_FDCWD, raw(path), times, flags))


class StatxTime(ctypes.Structure):
    _fields_ = [("seconds", ctypes.c_int64), ("nanoseconds", ctypes.c_uint32), ("pad", ctypes.c_int32)]


class Statx(ctypes.Structure):
    _fields_ = [
        ("mask", ctypes.c_uint32),
        ("block_size", ctypes.c_uint32),
        ("attributes", ctypes.c_uint64),
        ("links", ctypes.c_uint32),
        ("uid", ctypes.c_uint32),
        ("gid", ctypes.c_uint32),
        ("mode", ctypes.c_uint16),
        ("pad", ctypes.c_uint16),
        ("inode", ctypes.c_uint64),
        ("size", ctypes.c_uint64),
        ("blocks", ctypes.c_uint64),
        ("attributes_mask", ctypes.c_uint64),
        ("accessed", StatxTime),
        ("born", StatxTime),
        ("changed", StatxTime),
        ("modified", StatxTime),
        ("rest", ctypes.c_uint64 * 14),
    ]

    def born_ns(self) -> int:
        return self.born.seconds * 1_000_000_000 + self.born.nanoseconds


def statx(path: Path | str, mask: int = 0xFFF, flags: int = AT_SYMLINK_NOFOLLOW) -> Statx:
    answer = Statx()
    checked(libc.statx(AT_FDCWD, raw(path), flags, ctypes.c_uint(mask), ctypes.byref(answer)))
    return answer


class OpenHow(ctypes.Structure):
    _fields_ = [("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64)]


RESOLVE_NO_XDEV, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, RESOLVE_BENEATH, RESOLVE_IN_ROOT = 1, 2, 4, 8, 16


def openat2(directory: int, path: Path | str, flags: int, resolve: int) -> int:
    how = OpenHow(flags, 0, resolve)
    return checked(libc.syscall(OPENAT2, directory, raw(path), ctypes.byref(how), ctypes.sizeof(how)))


def name_to_handle_at(path: Path | str) -> None:
    handle = ctypes.create_string_buffer((128).to_bytes(4, "little") + bytes(4 + 128), 8 + 128)
    checked(libc.name_to_handle_at(AT_FDCWD, raw(path), handle, ctypes.byref(ctypes.c_int()), 0))


def map_shared(descriptor: int, length: int) -> int:
    """The address of a shared, readable map that may reach beyond the file's end."""
    libc.mmap.restype = ctypes.c_void_p
    return libc.mmap(None, ctypes.c_size_t(length), 1, 1, descriptor, ctypes.c_long(0))


def setfsuid(uid: int) -> int:
    return libc.setfsuid(uid)


class Dirent(ctypes.Structure):
    _fields_ = [
        ("inode", ctypes.c_uint64),
        ("offset", ctypes.c_int64),
        ("length", ctypes.c_uint16),
        ("kind", ctypes.c_uint8),
        ("name", ctypes.c_char * 256),
    ]


libc.opendir.restype = ctypes.c_void_p
libc.readdir64.restype = ctypes.POINTER(Dirent)
libc.telldir.restype = ctypes.c_long


@dataclass(frozen=True)
class Entry:
    name: bytes
    inode: int
    kind: int


class Directory:
    """A DIR stream with the calls that os.scandir hides: telldir, seekdir, rewinddir."""

    def __init__(self, path: Path | str) -> None:
        stream = libc.opendir(raw(path))
        if not stream:
            checked(-1)
        self._stream = ctypes.c_void_p(stream)

    def read(self) -> Entry | None:
        ctypes.set_errno(0)
        found = libc.readdir64(self._stream)
        if not found:
            if ctypes.get_errno():
                checked(-1)
            return None
        entry = found.contents
        return Entry(bytes(entry.name), entry.inode, entry.kind)

    def rest(self) -> list[Entry]:
        found = []
        while entry := self.read():
            found.append(entry)
        return found

    def tell(self) -> int:
        return libc.telldir(self._stream)

    def seek(self, place: int) -> None:
        libc.seekdir(self._stream, ctypes.c_long(place))

    def rewind(self) -> None:
        libc.rewinddir(self._stream)

    def descriptor(self) -> int:
        return libc.dirfd(self._stream)

    def close(self) -> None:
        libc.closedir(self._stream)
