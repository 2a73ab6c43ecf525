"""A system call that the kernel refuses to one process and its children: by seccomp, as containers refuse them."""

import ctypes
import errno
import struct
from dataclasses import dataclass

PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 22, 2
LOAD_WORD, JUMP_IF_EQUAL, RETURN = 0x20, 0x15, 0x06
ALLOW, FAIL_WITH = 0x7FFF0000, 0x00050000
# Where struct seccomp_data has the call's number, and its first argument.
NUMBER_AT, ARGUMENTS_AT = 0, 16

# Of x86-64, as in asm/unistd_64.h, linux/bpf.h and linux/fuse.h.
BPF, IOCTL = 321, 16
MAP_CREATE, PROG_LOAD, RAW_TRACEPOINT_OPEN = 0, 5, 17
BACKING_OPEN = 0x4010E501


@dataclass(frozen=True)
class Refused:
    """`call` with this value as its argument number `place`."""

    call: int
    place: int
    value: int
    errno: int = errno.EPERM

    def __call__(self) -> None:
        """For good, and for its children. To be called by root, between fork and exec."""
        steps = [
            (LOAD_WORD, 0, 0, NUMBER_AT),
            (JUMP_IF_EQUAL, 0, 3, self.call),
            (LOAD_WORD, 0, 0, ARGUMENTS_AT + 8 * self.place),
            (JUMP_IF_EQUAL, 0, 1, self.value),
            (RETURN, 0, 0, FAIL_WITH | self.errno),
            (RETURN, 0, 0, ALLOW),
        ]
        code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *step) for step in steps))
        program = ctypes.create_string_buffer(struct.pack("HxxxxxxP", len(steps), ctypes.addressof(code)))
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.byref(program), 0, 0):
            raise OSError(ctypes.get_errno(), "seccomp")
