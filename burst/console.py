"""The console command `burst`, from its first instant on: an interrupt ends it at once, with no traceback.

This module is imported before everything else, and imports only what Python has loaded by itself: `_signal` is the
part of `signal` that is built in. Until a command hears signals of its own nothing was begun, so that there is nothing
to end in order.
"""

import _signal
import os
import sys
from types import FrameType

INTERRUPTED = 130


def _end_at_once(_: int, __: FrameType | None) -> None:
    os.write(2, b"burst: interrupted\n")
    os._exit(INTERRUPTED)


if _signal.getsignal(_signal.SIGINT) is _signal.default_int_handler:  # else ignored, until a command hears it
    _signal.signal(_signal.SIGINT, _end_at_once)


def run() -> None:
    """Runs one command as the process that it is."""
    import gc

    from burst.cli import main

    exit_code = main.main()
    gc.freeze()  # else Python looks through all that was loaded for garbage once more before the process ends
    sys.exit(exit_code)
