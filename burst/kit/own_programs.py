"""Own programs: how burst starts a further process of itself, wherever the operator stands, and how that ends."""

import contextlib
import ctypes
import os
import resource
import signal
import sys
from collections.abc import Callable
from pathlib import Path

EXIT_KILLED = 137
_PR_SET_PDEATHSIG = 1
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


def start_words(module: str) -> tuple[str, ...]:
    """The words that start a module as this Python does. A file of the current folder stands in for no module: `-P`
    leaves the folder out of where Python looks, as the command `burst` does."""
    return (sys.executable, "-P", "-m", module)


def bound_words(*, seconds_max: float = 0.0) -> tuple[str, ...]:
    """The words before those of a program that is to end with this process: by KILL where this process dies, and by
    SIGALRM after so many seconds (0: no limit). The thread that starts it has to outlive it."""
    return (*start_words("burst.kit.bounded_program"), str(os.getpid()), repr(seconds_max))


def limit_own(seconds: float, data_bytes: int) -> None:
    """Ends this program after so many seconds, though whoever started it may be gone, and lets it have no more memory
    than that."""
    signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody takes the signal: it ends the program
    with contextlib.suppress(ValueError, OSError):  # a system without such a limit has the one of time
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))


def make_die_with_this_process() -> Callable[[], None] | None:
    """What a child does before it becomes a program: it asks the kernel for KILL when this process dies. None where
    the system is not Linux. A daemon that the program starts lives on."""
    if sys.platform != "linux":
        return None
    prctl, parent_pid = ctypes.CDLL(None).prctl, os.getpid()

    def prepare() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent_pid:  # it died before the request
            os._exit(EXIT_KILLED)

    return prepare


def read_boot_id() -> str:
    """Which start of this machine it is: a pid of an earlier one is nobody's. Empty where the system does not say."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError):
        return ""
