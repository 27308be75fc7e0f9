"""The keeper of one program: runs it to its end, or ends it at its limit, though the burst that waits was killed.

It is a process of its own, in a session of its own, and holds the lock of the launch file as long as it lives: so a
later burst sees whether the program still runs, and finds afterwards how it ended. The program itself does not inherit
the lock, nor does a daemon that it starts in a session of its own, such as a server that it restarts: both would look
like a program that never ends. Where the keeper is killed, Linux kills the program.

TERM ends the program at once and leaves no end behind, so that it counts as cut. Exit: 0 with an end, 143 without.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import psutil

from burst.domain.basics import instants
from burst.kit import files, own_programs

EXIT_CUT = 128 + signal.SIGTERM
LOOK_SECONDS = 0.05
"""Between two looks at how much the program has written, and at whether the keeper was told to end."""
_STDOUT = 1


class _Orders:
    """Whether a signal told the keeper to end its program."""

    def __init__(self) -> None:
        self.is_cut = False
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._note)

    def _note(self, *_: object) -> None:
        self.is_cut = True


def keep(argv: Sequence[str], *, seconds_max: float, output_max: int, lock: int, end: Path) -> int:
    """Runs the program, and writes how it ended to `end`. `lock` is the descriptor of the launch file."""
    orders = _Orders()
    os.set_inheritable(lock, False)
    _note_launch(lock, argv[0], seconds_max)
    try:
        process = subprocess.Popen(
            argv, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=own_programs.make_die_with_this_process()
        )
    except (OSError, ValueError) as exc:
        return _write_end(end, refused=f"{argv[0]} cannot be started: {exc}; name a program that is on this machine")
    refused = _wait(argv[0], process, orders, seconds_max, output_max)
    if process.returncode is None:
        os.killpg(process.pid, signal.SIGKILL)  # not waited for: the group is still its own
        process.wait()
    if refused is None and orders.is_cut:
        return EXIT_CUT
    return _write_end(end, exit_code=process.returncode) if refused is None else _write_end(end, refused=refused)


def _wait(
    name: str, process: "subprocess.Popen[bytes]", orders: _Orders, seconds_max: float, output_max: int
) -> str | None:
    """Waits for the program; returns why it has to be ended, None where it ended or was cut."""
    ends_at = time.monotonic() + seconds_max
    while not orders.is_cut:
        left_seconds = ends_at - time.monotonic()
        try:
            process.wait(max(0.0, min(LOOK_SECONDS, left_seconds)))
        except subprocess.TimeoutExpired:
            if left_seconds <= 0:
                return f"{name} did not end within {seconds_max:g} s and was killed; give it more time"
        size = os.fstat(_STDOUT).st_size
        if size > output_max:
            return f"{name} wrote {size} bytes; allowed: at most {output_max} to stdout"
        if process.returncode is not None:
            return None
    return None


def _note_launch(lock: int, program: str, seconds_max: float) -> None:
    """Says in the launch file whose session the program belongs to, before there is a program."""
    fields = {
        "pid": os.getpid(),
        "started": psutil.Process().create_time(),
        "boot": own_programs.read_boot_id(),
        "program": program,
        "ends_by": instants.text(instants.later(datetime.now(UTC), seconds_max)),
    }
    os.pwrite(lock, json.dumps(fields).encode(), 0)
    os.fsync(lock)


def _write_end(path: Path, **fields: object) -> int:
    files.replace(path, json.dumps(fields).encode(), mode=0o600)
    return 0


def main(words: Sequence[str]) -> int:
    """The command line of `python -m burst.adapters.local.program_keeper`."""
    parser = argparse.ArgumentParser(prog="burst program keeper", description="Run one program to its end.")
    parser.add_argument("--seconds", required=True, type=float)
    parser.add_argument("--output-max", required=True, type=int, metavar="BYTES")
    parser.add_argument("--lock", required=True, type=int, metavar="DESCRIPTOR")
    parser.add_argument("--end", required=True, type=Path)
    options = parser.parse_args(words[: words.index("--")])
    return keep(
        words[words.index("--") + 1 :],
        seconds_max=options.seconds,
        output_max=options.output_max,
        lock=options.lock,
        end=options.end.absolute(),
    )


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
