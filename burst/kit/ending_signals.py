"""Ending signals: the signals by which this process is asked to end, whatever it inherited of them.

A shell without job control starts its background commands with INT and QUIT ignored; that is a side effect, and they
are heard. HUP that is ignored was set so on purpose, by `nohup` or `trap '' HUP`, and stays ignored.
"""

import signal
from collections.abc import Iterable


def select_heard(numbers: Iterable[signal.Signals]) -> tuple[signal.Signals, ...]:
    """Those of the signals that this process shall hear: all but HUP where it is ignored."""
    ignores_hangup = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return tuple(number for number in numbers if number is not signal.SIGHUP or not ignores_hangup)
