"""System calls by what they do to files, and where their arguments name paths, places and sizes; as strace writes them."""

FORKS = {"clone", "clone3", "fork", "vfork"}
OPENS = {"open", "openat", "openat2", "creat"}
READS = {"read", "readv", "pread64", "preadv", "preadv2"}
WRITES = {"write", "writev", "pwrite64", "pwritev", "pwritev2"}
AT_POSITION = {"read", "readv", "write", "writev", "getdents64", "getdents"}
AT_PLACE_OR_POSITION = {"preadv2", "pwritev2"}
TRANSFERS = {"sendfile", "splice", "copy_file_range"}
# Of each call with a path as an argument: the place of the path, or of the directory it starts at and its own.
# Following: a symbolic link as its last part is followed, unless a flag says otherwise.
FOLLOWING = {
    "open",
    "stat",
    "access",
    "execve",
    "truncate",
    "chdir",
    "creat",
    "chmod",
    "chown",
    "utime",
    "utimes",
    "statfs",
}
FOLLOWING |= {"setxattr", "getxattr", "listxattr", "removexattr"}
NOT_FOLLOWING = {"lstat", "mkdir", "rmdir", "unlink", "readlink", "lchown", "mknod"}
NOT_FOLLOWING |= {"lsetxattr", "lgetxattr", "llistxattr", "lremovexattr"}
AT_FOLLOWING = {
    "openat",
    "openat2",
    "fchownat",
    "newfstatat",
    "faccessat",
    "faccessat2",
    "utimensat",
    "statx",
    "execveat",
}
AT_FOLLOWING |= {"fchmodat", "fchmodat2"}
AT_NOT_FOLLOWING = {"mkdirat", "mknodat", "unlinkat", "readlinkat"}
# Offset and size among the arguments.
RANGES: dict[str, tuple[int | None, int | None]] = {
    "read": (None, 2),
    "write": (None, 2),
    "getdents64": (None, 2),
    "pread64": (3, 2),
    "pwrite64": (3, 2),
    "preadv": (3, None),
    "pwritev": (3, None),
    "preadv2": (3, None),
    "pwritev2": (3, None),
    "lseek": (1, None),
    "mmap": (5, 1),
    "msync": (None, 1),
    "sendfile": (None, 3),
    "splice": (None, 4),
    "copy_file_range": (None, 4),
    "truncate": (None, 1),
    "ftruncate": (None, 1),
    "fallocate": (2, 3),
    "fadvise64": (1, 2),
    "readahead": (1, 2),
    "sync_file_range": (1, 2),
    "setxattr": (None, 3),
    "lsetxattr": (None, 3),
    "fsetxattr": (None, 3),
    "getxattr": (None, 3),
    "lgetxattr": (None, 3),
    "fgetxattr": (None, 3),
    "listxattr": (None, 2),
    "llistxattr": (None, 2),
    "flistxattr": (None, 2),
}
SYMLINKS = {"symlink", "symlinkat"}
MOST_LINKS = 40
