"""Wording: counts as sentences say them, the same in documents, messages and reports."""


def format_count(number: int, noun: str) -> str:
    """A number with its noun, in the singular for 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
