"""Forked workers of Locust (`--processes`) end with the process that forked them, however that one ends.

Locust's own clean-up misses workers that are still connecting: they would go on trying for five minutes. Linux tells
them by a signal; elsewhere the guard alone sees to it.
"""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1
_called: list[bool] = []


def end_with_parent() -> None:
    """From now on each process that this one forks gets TERM when this one has ended. Linux only."""
    if sys.platform == "linux" and not _called:
        _called.append(True)
        prctl = ctypes.CDLL(None).prctl
        os.register_at_fork(after_in_child=lambda: prctl(_PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0))
