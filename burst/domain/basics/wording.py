"""Wording: numbers of things as sentences say them, the same in documents, messages and reports."""


def format_count(number: int, noun: str) -> str:
    """So many of something, in the singular where it is one."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
