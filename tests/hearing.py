"""The signals that a started process hears, whatever this one inherited: a test may itself run under `nohup`."""

import signal


def hear_all() -> None:
    """For `preexec_fn`: no signal by which a process is asked to end is ignored any more."""
    for number in (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM):
        signal.signal(number, signal.SIG_DFL)
