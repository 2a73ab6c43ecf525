"""Names are bytes: every byte, every length; links hard and symbolic; errors of paths."""

import os
from pathlib import Path

import syscalls
from kit import behaviour, mode_of, outcome, read_file, tried, write_file


@behaviour
def names_of_all_kinds(place: Path) -> object:
    names = [
        b"\xff\xfe\x80",
        b"new\nline",
        b"\x1b[31mred",
        b" ",
        b"-rf",
        b"a\\b",
        b"\"'`$",
        b"\xc3\xa9",
        b"e\xcc\x81",
        b"x" * 255,
        b"\x01\x7f",
        b"...",
    ]
    for number, name in enumerate(names):
        write_file(os.fsencode(place) + b"/" + name, b"%d" % number)
    listed = sorted(os.listdir(os.fsencode(place)))
    contents = [read_file(os.fsencode(place) + b"/" + name) == b"%d" % number for number, name in enumerate(names)]
    for name in names:
        os.rename(os.fsencode(place) + b"/" + name, os.fsencode(place) + b"/" + name[:200] + b"~")
    return listed == sorted(names), all(contents), len(os.listdir(place))


@behaviour
def names_that_are_too_long(place: Path) -> object:
    long = "y" * 256
    write_file(place / "file")
    return {
        "create": tried(write_file, place / long),
        "stat": tried(os.stat, place / long),
        "mkdir": tried(os.mkdir, place / long),
        "symlink": tried(os.symlink, "x", place / long),
        "rename": tried(os.rename, place / "file", place / long),
        "link": tried(os.link, place / "file", place / long),
        "unlink": tried(os.unlink, place / long),
        "path": tried(os.stat, str(place) + "/." * 3000),
        "255": tried(os.mkdir, place / ("z" * 255)),
    }


@behaviour
def case_and_composition_are_kept_apart(place: Path) -> object:
    for name in ("name", "NAME", "Name", "\u00e9", "e\u0301"):
        os.mkdir(place / name)
    return len(os.listdir(place)), tried(os.stat, place / "nAME")


@behaviour
def symlink_targets(place: Path) -> object:
    os.symlink("t" * 4095, place / "longest")
    os.symlink(b"\xff\n", os.fsencode(place / "bytes"))
    os.symlink("short", place / "short")
    return {
        "4095": os.readlink(place / "longest") == "t" * 4095,
        "4096": tried(os.symlink, "t" * 4096, place / "over"),
        "empty": tried(os.symlink, "", place / "empty"),
        "bytes": os.readlink(os.fsencode(place / "bytes")),
        "sizes": [os.lstat(place / name).st_size for name in ("longest", "bytes", "short")],
        "mode": mode_of(place / "short"),
        "of a file": outcome(os.readlink, place),
        "exists": tried(os.symlink, "x", place / "short"),
    }


@behaviour
def symlinks_are_followed(place: Path) -> object:
    os.mkdir(place / "d")
    write_file(place / "d/file", b"content")
    os.symlink("d", place / "relative")
    os.symlink(f"{place}/d/file", place / "absolute")
    os.symlink("../d/../d/file", place / "d/up")
    for number in range(45):
        os.symlink(f"chain{number + 1}" if number < 44 else "d/file", place / f"chain{number}")
    os.symlink("a", place / "b")
    os.symlink("b", place / "a")
    return {
        "relative": read_file(place / "relative/file"),
        "absolute": read_file(place / "absolute"),
        "up": read_file(place / "d/up"),
        "39 deep": tried(read_file, place / "chain6"),
        "45 deep": tried(read_file, place / "chain0"),
        "loop": tried(os.stat, place / "a"),
        "slash": tried(os.stat, f"{place}/absolute/"),
        "unlink": tried(os.unlink, place / "relative"),
        "kept": sorted(os.listdir(place / "d")),
    }


@behaviour
def attributes_of_symlinks_themselves(place: Path) -> object:
    write_file(place / "file")
    os.symlink("file", place / "link")
    os.utime(place / "link", (1, 2), follow_symlinks=False)
    facts = os.lstat(place / "link")
    changed = syscalls.libc.syscall(
        452, syscalls.AT_FDCWD, os.fsencode(place / "link"), 0o600, syscalls.AT_SYMLINK_NOFOLLOW
    )
    chown = tried(os.lchown, place / "link", -1, -1)
    return (
        int(facts.st_atime),
        int(facts.st_mtime),
        os.stat(place / "file").st_mtime > 2,
        changed,
        chown,
        mode_of(place / "link"),
    )


@behaviour
def hard_links(place: Path) -> object:
    write_file(place / "a", b"same")
    os.link(place / "a", place / "b")
    with open(place / "b", "ab") as stream:
        stream.write(b"+b")
    os.chmod(place / "a", 0o600)
    one, two = os.stat(place / "a"), os.stat(place / "b")
    os.unlink(place / "a")
    return (
        one.st_ino == two.st_ino,
        one.st_nlink,
        f"{two.st_mode & 0o777:o}",
        os.stat(place / "b").st_nlink,
        read_file(place / "b"),
    )


@behaviour
def hard_links_that_are_refused(place: Path) -> object:
    write_file(place / "a")
    os.mkdir(place / "d")
    return {
        "existing": tried(os.link, place / "a", place / "a"),
        "directory": tried(os.link, place / "d", place / "e"),
        "missing": tried(os.link, place / "no", place / "x"),
        "no parent": tried(os.link, place / "a", place / "no/x"),
        "other filesystem": tried(os.link, place / "a", "/dev/shm/x"),
        "onto a directory": tried(os.link, place / "a", place / "d"),
    }


@behaviour
def hard_links_of_symlinks_and_special_files(place: Path) -> object:
    write_file(place / "file")
    os.symlink("file", place / "link")
    os.link(place / "link", place / "again", follow_symlinks=False)
    syscalls.linkat(syscalls.AT_FDCWD, place / "link", place / "followed", syscalls.AT_SYMLINK_FOLLOW)
    os.mkfifo(place / "fifo")
    os.link(place / "fifo", place / "fifo2")
    return (
        os.readlink(place / "again"),
        os.stat(place / "file").st_nlink,
        os.lstat(place / "link").st_nlink,
        os.stat(place / "fifo2").st_nlink,
    )


@behaviour
def many_hard_links(place: Path) -> object:
    write_file(place / "file", b"x")
    for number in range(300):
        os.link(place / "file", place / f"{number}")
    for number in range(0, 300, 2):
        os.unlink(place / f"{number}")
    os.unlink(place / "file")
    return os.stat(place / "1").st_nlink, {os.stat(place / f"{number}").st_ino for number in range(1, 300, 2)} == {
        os.stat(place / "1").st_ino
    }


@behaviour
def removing_names(place: Path) -> object:
    os.mkdir(place / "d")
    os.mkdir(place / "full")
    write_file(place / "full/x")
    write_file(place / "file")
    return {
        "rmdir full": tried(os.rmdir, place / "full"),
        "rmdir file": tried(os.rmdir, place / "file"),
        "unlink directory": tried(os.unlink, place / "d"),
        "rmdir .": tried(os.rmdir, f"{place}/d/."),
        "rmdir ..": tried(os.rmdir, f"{place}/d/.."),
        "unlink missing": tried(os.unlink, place / "no"),
        "rmdir missing": tried(os.rmdir, place / "no"),
        "unlink with slash": tried(os.unlink, f"{place}/file/"),
        "rmdir": tried(os.rmdir, place / "d"),
        "unlink": tried(os.unlink, place / "file"),
        "left": os.listdir(place),
    }


@behaviour
def errors_of_mkdir_and_mknod(place: Path) -> object:
    write_file(place / "file")
    return {
        "existing": tried(os.mkdir, place),
        "existing file": tried(os.mkdir, place / "file"),
        "no parent": tried(os.mkdir, place / "no/d"),
        "under a file": tried(os.mkdir, place / "file/d"),
        "fifo existing": tried(os.mkfifo, place / "file"),
        "dot": tried(os.mkdir, f"{place}/new/."),
        "slash": tried(os.mkdir, f"{place}/slash/"),
        "mknod directory": tried(os.mknod, place / "n", 0o040755),
        "mknod symlink": tried(os.mknod, place / "n", 0o120777),
        "sticky": (tried(os.mkdir, place / "s", 0o1777), mode_of(place / "s")),
    }


@behaviour
def a_deep_tree(place: Path) -> object:
    os.chdir(place)
    for _ in range(120):
        os.mkdir("d" * 50)
        os.chdir("d" * 50)
    write_file("bottom", b"deep")
    found = read_file("bottom")
    getcwd = outcome(os.getcwd)
    for _ in range(120):
        os.chdir("..")
    return found, getcwd if str(getcwd).startswith("E") else len(str(getcwd)) > 4096, os.listdir(".") == ["d" * 50]
