"""A program that does not react to TERM: runs the command given, and once told to end stays until it is killed.

Run by its path with `python -I`, below the guard where there is one, so that each layer meets a program that resists.
"""

import signal
import subprocess
import sys
import time


def run_command(command: list[str]) -> int:
    """The command's exit code (128+n for signal n), unless a signal asked for an end."""
    told: list[int] = []
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda number, _: told.append(number))
    try:
        code = subprocess.Popen(command).wait()
    except OSError as exc:
        sys.stderr.write(f"{command[0]}: {exc.strerror}\n")
        return 127
    while told or code == -signal.SIGTERM:
        time.sleep(3600)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(run_command(sys.argv[1:]))
