"""Signals as bytes in a pipe: the guard's loop waits for a signal and for time in one `select`.

Ctrl-Z (and a read from the terminal in the background) must not stop the guard: the program, in its own session, would
run on. A guard that was stopped all the same looks at its clock as soon as it continues.
"""

import contextlib
import os
import select
import signal
from collections.abc import Callable, Iterator

from burst.kit import ending_signals

LONGEST_WAIT_SECONDS = 1.0
"""A process that was suspended in a wait resumes with the rest of it; one long wait could overrun the deadline."""

END_SIGNALS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT)
PASSED_ON_SIGNALS = (signal.SIGUSR1, signal.SIGUSR2)
"""For the program alone: their default would end the guard and let processes of the program run on without it."""
_STOP_SIGNALS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU, signal.SIGCONT)


@contextlib.contextmanager
def catch_signals() -> Iterator[Callable[[float], list[int]]]:
    """Catches signals until it is left; yields a wait of so many seconds that returns the signals that arrived."""
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    os.set_blocking(writer, False)
    numbers = (*ending_signals.select_heard(END_SIGNALS), *PASSED_ON_SIGNALS, signal.SIGCHLD, *_STOP_SIGNALS)
    handlers_before = {number: signal.signal(number, lambda *_: None) for number in numbers}
    writer_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    mask_before = signal.pthread_sigmask(signal.SIG_UNBLOCK, numbers)

    def wait_for_signals(seconds: float) -> list[int]:
        if not select.select([reader], [], [], min(max(0.0, seconds), LONGEST_WAIT_SECONDS))[0]:
            return []
        return list(os.read(reader, 4096))

    try:
        yield wait_for_signals
    finally:
        signal.set_wakeup_fd(writer_before)
        signal.pthread_sigmask(signal.SIG_SETMASK, mask_before)
        for number, handler in handlers_before.items():
            # Only the exit code is still to be told: another TERM must not replace it.
            signal.signal(number, signal.SIG_IGN if number in END_SIGNALS else handler)
        os.close(reader)
        os.close(writer)
