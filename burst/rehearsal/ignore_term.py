"""A program that ignores TERM: it runs a command, and after a signal to end it stays until it is killed.

It is run by its path with `python -I`, below the guard if the container has one. So the guard, the container's TERM and
the stop timeout each meet a program that does not end.
"""

import signal
import subprocess
import sys
import time


def run_command(command: list[str]) -> int:
    """The command's exit code, with 128+n for signal n. Never returns after a signal to end."""
    signals: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: signals.append(number))
    try:
        code = subprocess.Popen(command).wait()
    except OSError as exc:
        sys.stderr.write(f"{command[0]}: {exc.strerror}\n")
        return 127
    while signals or code == -signal.SIGTERM:
        time.sleep(3600)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
