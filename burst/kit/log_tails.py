"""The last words of a program: the end of its log, where it says why it died."""

import os
from pathlib import Path

READ_BYTES = 16 << 10
LONGEST_LINE = 300


def read_last_line(path: Path, *, passing_over: str = "burst guard:") -> str:
    """The last line with words in it that does not begin so; empty where there is none, or no file that can be read."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, os.fstat(file.fileno()).st_size - READ_BYTES))
            lines = file.read(READ_BYTES).decode("utf-8", "replace").splitlines()
    except OSError:
        return ""
    spoken = (line.strip() for line in reversed(lines) if line.strip() and not line.startswith(passing_over))
    return next(spoken, "")[:LONGEST_LINE]
