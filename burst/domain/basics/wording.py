"""Wording: counts as sentences say them, the same in documents, messages and reports."""


def format_count(number: int, noun: str) -> str:
    """A number with its noun, in the singular for 1."""
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def shorten(text: str, longest: int) -> str:
    """A text of at most so many characters; a longer one ends in an ellipsis."""
    return text if len(text) <= longest else f"{text[: longest - 1]}…"


def format_span(seconds: float) -> str:
    """A length of time in the two largest units that it has: `9 h`, `2 d 3 h`, `1 min 30 s`, `2.5 s`."""
    if seconds < 60:
        return f"{seconds:.3g} s"
    whole = round(seconds)
    parts = [(whole // 86400, "d"), (whole // 3600 % 24, "h"), (whole // 60 % 60, "min"), (whole % 60, "s")]
    first = next(index for index, (number, _) in enumerate(parts) if number)
    return " ".join(f"{number} {unit}" for number, unit in parts[first : first + 2] if number)
