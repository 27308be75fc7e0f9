"""Colour of words on a terminal: the word that begins a line says how things stand, and colour only repeats it.

`NO_COLOR` ends all of it (no-color.org), and so does a stream that is no terminal.
"""

import os
import re
from typing import TextIO

GREEN, YELLOW, RED, BOLD_RED = "32", "33", "31", "1;31"
COLOURS = {
    **dict.fromkeys(("PASS", "ok", "ok:", "UNLOCK"), GREEN),
    **dict.fromkeys(("warn", "carried", "not-evaluated"), YELLOW),
    **dict.fromkeys(("HOLD", "FAIL", "INVALID", "absent:", "incomplete:", "corrupt:", "unknown:", "too-old:"), RED),
    "burst:": BOLD_RED,
}
"""The colour of each word, where it begins a line, or a line of a list."""
_FIRST_WORD = re.compile(r"^( {0,2})(\S+)", re.MULTILINE)
WITHOUT_CURSOR = ("", "dumb", "unknown")
"""The values of TERM of which nobody knows what the terminal can do."""


def is_coloured(stream: TextIO | None) -> bool:
    """Whether a stream shows colour: a terminal that can, of a user who does not forbid it."""
    if stream is None or os.environ.get("NO_COLOR"):
        return False
    return has_cursor() and stream.isatty()


def has_cursor() -> bool:
    """Whether the terminal moves its cursor and knows colours, as far as TERM says."""
    return os.environ.get("TERM", "").lower() not in WITHOUT_CURSOR


def paint(text: str) -> str:
    """A text with the first word of its lines in their colours."""
    return _FIRST_WORD.sub(_paint_word, text)


def _paint_word(match: re.Match[str]) -> str:
    indent, word = match.groups()
    colour = COLOURS.get(word)
    return match.group() if colour is None else f"{indent}\x1b[{colour}m{word}\x1b[0m"
