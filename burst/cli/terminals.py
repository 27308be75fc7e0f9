"""Terminals: whether the live view can be drawn on stderr. Asks nothing of rich, which is imported late."""

import os
import sys

from burst.cli import common

WITHOUT_CURSOR = ("", "dumb", "unknown")
"""The values of TERM of which nobody knows how to move the cursor."""


def can_draw(output: common.Output) -> bool:
    """Whether stderr is a terminal whose cursor moves, and nobody asked for silence or for lines."""
    asked_for_lines = output.quiet or output.log_json
    has_cursor = os.environ.get("TERM", "").lower() not in WITHOUT_CURSOR
    return sys.stderr is not None and sys.stderr.isatty() and has_cursor and not asked_for_lines
