"""Programs of this machine, run to their end, each in a session of its own that is killed where it takes too long."""

import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import IO

from burst import ports
from burst.domain.basics import errors
from burst.kit import process_tree

LARGEST_OUTPUT = 8 << 20
_LOOK_SECONDS = 0.05
"""Between two looks at how much a program has written."""
_COMPLAINT_BYTES = 2000


class LocalPrograms:
    """`ports.ProgramRunner` of this machine. A program gets the environment of this process and no input."""

    def run(self, argv: Sequence[str], *, seconds_max: float) -> ports.ProgramAnswer:
        """Runs a program to its end."""
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaint:
            exit_code = _run_to_end(argv, seconds_max, output, complaint)
            size = os.fstat(output.fileno()).st_size
            if size > LARGEST_OUTPUT:
                raise errors.Refused(_tell_size(list(argv), size))
            output.seek(0)
            complaint.seek(max(0, os.fstat(complaint.fileno()).st_size - _COMPLAINT_BYTES))
            words = complaint.read().decode("utf-8", "replace")
            return ports.ProgramAnswer(exit_code=exit_code, output=output.read(), complaint=words)


def _run_to_end(argv: Sequence[str], seconds_max: float, output: IO[bytes], complaint: IO[bytes]) -> int:
    try:
        process = subprocess.Popen(
            list(argv), stdin=subprocess.DEVNULL, stdout=output, stderr=complaint, start_new_session=True
        )
    except (OSError, ValueError) as exc:
        raise errors.Refused(f"{argv[0]} cannot be started: {exc}; name a program that is on this machine") from exc
    try:
        return _wait_within(process, seconds_max, output)
    except BaseException as exc:
        process_tree.kill_group(process.pid)
        process.wait()
        if isinstance(exc, subprocess.TimeoutExpired):
            words = f"{argv[0]} did not end within {seconds_max:g} s and was killed; give it more time"
            raise errors.Refused(words) from None
        raise


def _wait_within(process: subprocess.Popen[bytes], seconds_max: float, output: IO[bytes]) -> int:
    """The exit code of a program that ends in time, and writes no more than it may meanwhile."""
    ends_at = time.monotonic() + seconds_max
    while True:
        left_seconds = ends_at - time.monotonic()
        try:
            return process.wait(max(0.0, min(_LOOK_SECONDS, left_seconds)))
        except subprocess.TimeoutExpired:
            if left_seconds <= 0:
                raise
            size = os.fstat(output.fileno()).st_size
            if size > LARGEST_OUTPUT:
                raise errors.Refused(_tell_size(process.args, size)) from None


def _tell_size(argv: object, size: int) -> str:
    name = argv[0] if isinstance(argv, list) else argv
    return f"{name} wrote {size} bytes; allowed: at most {LARGEST_OUTPUT} to stdout"
