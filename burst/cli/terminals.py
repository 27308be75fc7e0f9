"""Terminals: whether the live view can be drawn on stderr. Asks nothing of rich, which is imported late."""

import sys

from burst.cli import common, painting


def can_draw(output: common.Output) -> bool:
    """Whether stderr is a terminal whose cursor moves, and nobody asked for silence or for lines."""
    asked_for_lines = output.quiet or output.log_json
    return sys.stderr is not None and sys.stderr.isatty() and painting.has_cursor() and not asked_for_lines


def is_read_by_a_person(output: common.Output) -> bool:
    """Whether the result goes to a terminal, so that it may leave out what nobody has to look at."""
    return sys.stdout is not None and sys.stdout.isatty() and not output.json
