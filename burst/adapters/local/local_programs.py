"""Programs of this machine, run to their end, each in a session of its own that is killed where it takes too long."""

import os
import subprocess
import tempfile
from collections.abc import Sequence
from typing import IO

from burst import ports
from burst.domain.basics import errors
from burst.kit import process_tree

LARGEST_OUTPUT = 8 << 20
_COMPLAINT_BYTES = 2000


class LocalPrograms:
    """`ports.ProgramRunner` of this machine. A program gets the environment of this process and no input."""

    def run(self, argv: Sequence[str], *, seconds_max: float) -> ports.ProgramAnswer:
        """Runs a program to its end."""
        with tempfile.TemporaryFile() as output, tempfile.TemporaryFile() as complaint:
            exit_code = _run_to_end(argv, seconds_max, output, complaint)
            size = os.fstat(output.fileno()).st_size
            if size > LARGEST_OUTPUT:
                raise errors.Refused(f"{argv[0]} wrote {size} bytes; allowed: at most {LARGEST_OUTPUT} to stdout")
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
        return process.wait(seconds_max)
    except BaseException as exc:
        process_tree.kill_group(process.pid)
        process.wait()
        if isinstance(exc, subprocess.TimeoutExpired):
            words = f"{argv[0]} did not end within {seconds_max:g} s and was killed; give it more time"
            raise errors.Refused(words) from None
        raise
