"""Lines of plain text and tables of them, for a terminal; needs no document."""

from collections.abc import Sequence


def plain(line: str) -> str:
    """A line that stays one line and moves no cursor: documents may come from anybody."""
    return "".join(letter if letter.isprintable() else " " if letter.isspace() else "?" for letter in line)


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows as columns, two blanks apart."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join(plain(line) for line in lines)
