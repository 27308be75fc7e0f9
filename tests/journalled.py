"""What a journal says while somebody still writes it."""

import json
from pathlib import Path
from typing import Any


def whole_events(journal: Path) -> list[dict[str, Any]]:
    """The events whose lines are whole, none where there is no file.

    The last line may be half written at any moment, and a controller that was killed leaves its half in the middle.
    """
    try:
        content = journal.read_bytes()
    except FileNotFoundError:
        return []
    return [event for line in content.split(b"\n") if (event := _event(line)) is not None]


def _event(line: bytes) -> dict[str, Any] | None:
    try:
        value: dict[str, Any] = json.loads(line)
    except ValueError:
        return None
    return value
