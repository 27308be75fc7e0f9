"""Own programs: how burst starts a further process of itself, wherever the operator stands, and how that ends."""

import contextlib
import resource
import signal
import sys


def start_words(module: str) -> tuple[str, ...]:
    """The words that start a module as this Python does. A file of the current folder stands in for no module: `-P`
    leaves the folder out of where Python looks, as the command `burst` does."""
    return (sys.executable, "-P", "-m", module)


def limit_own(seconds: float, data_bytes: int) -> None:
    """Ends this program after so many seconds, though whoever started it may be gone, and lets it have no more memory
    than that."""
    signal.setitimer(signal.ITIMER_REAL, seconds)  # nobody takes the signal: it ends the program
    with contextlib.suppress(ValueError, OSError):  # a system without such a limit has the one of time
        resource.setrlimit(resource.RLIMIT_DATA, (data_bytes, data_bytes))
