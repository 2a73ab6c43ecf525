"""Linux's error numbers and their names. Not Python's `errno`: a trace may be read on another system than its own."""

from __future__ import annotations

# include/uapi/asm-generic/errno-base.h and errno.h, as on x86 and arm: 1, 2, 3 and so on; a dash is no error.
_IN_ORDER = """
    EPERM ENOENT ESRCH EINTR EIO ENXIO E2BIG ENOEXEC EBADF ECHILD EAGAIN ENOMEM EACCES EFAULT ENOTBLK EBUSY EEXIST
    EXDEV ENODEV ENOTDIR EISDIR EINVAL ENFILE EMFILE ENOTTY ETXTBSY EFBIG ENOSPC ESPIPE EROFS EMLINK EPIPE EDOM
    ERANGE EDEADLK ENAMETOOLONG ENOLCK ENOSYS ENOTEMPTY ELOOP - ENOMSG EIDRM ECHRNG EL2NSYNC EL3HLT EL3RST ELNRNG
    EUNATCH ENOCSI EL2HLT EBADE EBADR EXFULL ENOANO EBADRQC EBADSLT - EBFONT ENOSTR ENODATA ETIME ENOSR ENONET
    ENOPKG EREMOTE ENOLINK EADV ESRMNT ECOMM EPROTO EMULTIHOP EDOTDOT EBADMSG EOVERFLOW ENOTUNIQ EBADFD EREMCHG
    ELIBACC ELIBBAD ELIBSCN ELIBMAX ELIBEXEC EILSEQ ERESTART ESTRPIPE EUSERS ENOTSOCK EDESTADDRREQ EMSGSIZE
    EPROTOTYPE ENOPROTOOPT EPROTONOSUPPORT ESOCKTNOSUPPORT EOPNOTSUPP EPFNOSUPPORT EAFNOSUPPORT EADDRINUSE
    EADDRNOTAVAIL ENETDOWN ENETUNREACH ENETRESET ECONNABORTED ECONNRESET ENOBUFS EISCONN ENOTCONN ESHUTDOWN
    ETOOMANYREFS ETIMEDOUT ECONNREFUSED EHOSTDOWN EHOSTUNREACH EALREADY EINPROGRESS ESTALE EUCLEAN ENOTNAM ENAVAIL
    EISNAM EREMOTEIO EDQUOT ENOMEDIUM EMEDIUMTYPE ECANCELED ENOKEY EKEYEXPIRED EKEYREVOKED EKEYREJECTED EOWNERDEAD
    ENOTRECOVERABLE ERFKILL
"""

# include/linux/errno.h: no program is answered these. When a signal was handled the kernel begins the call again, or
# makes EINTR of it; strace shows them too.
_RESTARTS = {512: "ERESTARTSYS", 513: "ERESTARTNOINTR", 514: "ERESTARTNOHAND", 516: "ERESTART_RESTARTBLOCK"}

_PLAIN = {number: name for number, name in enumerate(_IN_ORDER.split(), start=1) if name != "-"}
_NAMES = _PLAIN | _RESTARTS

# Second names for the same number.
_ALIASES = {"EWOULDBLOCK": 11, "EDEADLOCK": 35, "ENOTSUP": 95}

_NUMBERS = {name: number for number, name in _NAMES.items()} | _ALIASES


def name_of(number: int) -> str:
    """`ENOENT` for 2; a number without a name stays a number."""
    return _NAMES.get(number, str(number))


def number_of(word: str) -> int | None:
    """2 for `ENOENT`, `enoent` or `2`; None for no error's name."""
    return int(word) if word.isascii() and word.isdigit() else _NUMBERS.get(word.upper())


def all_names() -> list[str]:
    return sorted(_NUMBERS)


def named() -> dict[int, str]:
    return dict(_NAMES)
