"""Markdown of the reference pages: tables whose cells hold any text, and whose lines never wrap."""

from collections.abc import Iterable, Sequence


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table; a cell is one line, and its bars are escaped."""
    lines = [_line(columns), _line(["---"] * len(columns)), *(_line([_cell(text) for text in row]) for row in rows)]
    return "\n".join(lines) + "\n"


def code(text: str) -> str:
    """Text in the letters of a program; nothing for nothing."""
    return f"`{text}`" if text else ""


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")


def _line(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"
