"""A program that ends with the process that started it, however that one ends: `own_programs.bound_words` starts it so.

This process asks the kernel for KILL and sets the limit, then becomes the program, which keeps both. So it needs
nothing of the process that starts it, whose other threads forbid work between fork and exec. The kernel of Linux alone
tells of the death; elsewhere the limit has to do.
"""

import ctypes
import os
import signal
import sys
from collections.abc import Sequence

EXIT_ORPHANED = 137
EXIT_NOT_STARTED = 127
_PR_SET_PDEATHSIG = 1


def become(parent_pid: int, seconds_max: float, argv: Sequence[str]) -> int:
    """Becomes the program; returns an exit code where it cannot."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent_pid:  # it died before the request
        return EXIT_ORPHANED
    if seconds_max > 0:
        signal.setitimer(signal.ITIMER_REAL, seconds_max)  # a program that takes no such signal is ended by it
    try:
        os.execvp(argv[0], list(argv))  # noqa: S606 - the words of burst, which no shell reads
    except OSError as exc:
        sys.stderr.write(f"{argv[0]} cannot be started: {exc.strerror}\n")
    return EXIT_NOT_STARTED


if __name__ == "__main__":
    sys.exit(become(int(sys.argv[1]), float(sys.argv[2]), sys.argv[3:]))
