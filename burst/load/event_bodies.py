"""Bodies of events: a JSON object with placeholders is cut into its parts once, and each event fills in its own.

Every value but `sent_at` follows from scope, task and number, so a body is the same each time that its event is sent.
"""

import hashlib
import json
import random
import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from burst.load import event_mix

FILLER = "filler"
NAMES = ("event_id", "scope", "shard", "sequence", "dedupe_key", "sent_at", FILLER)
ALLOWED = ", ".join(f"{{{name}}}" for name in NAMES)
_PLACEHOLDER = re.compile(r"\{([a-z_]+)\}")
_NUMBER_ALONE = re.compile(r'"(\{(?:shard|sequence)\})"(?!:)')
"""A value that is a number alone, with its quotes, which it loses; the name of a field keeps them."""
MOST_BYTES = 1_000_000
_OFFSETS = 4096


def name_event(scope: str, shard_index: int, number: int) -> str:
    """The id of an event: unique in a run, and the same in a replay."""
    return f"{scope}:{shard_index:04d}:{number:012d}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Filling:
    """What the placeholders of one event stand for: `spread` is its number in the burst, `sent_at` UTC seconds."""

    event_id: str
    scope: str
    shard: int
    sequence: int
    spread: int
    sent_at: float


class SizeCurve:
    """How long bodies are, in bytes: by points (share of the events, bytes), with straight lines between them."""

    def __init__(self, points: Sequence[tuple[float, int]]) -> None:
        """Raises ValueError for points that do not rise from share 0 to 1."""
        shares, sizes = [share for share, _ in points], [size for _, size in points]
        if shares != sorted(set(shares)) or sizes != sorted(sizes) or (shares[0], shares[-1]) != (0, 1):
            raise ValueError("sizes that rise with their shares, from 0 to 1")
        if not 0 < sizes[0] <= sizes[-1] <= MOST_BYTES:
            raise ValueError(f"sizes of 1 to {MOST_BYTES} bytes")
        self._points = tuple(points)

    @property
    def most(self) -> int:
        """The longest body."""
        return self._points[-1][1]

    def find_size(self, spread: int) -> int:
        """The bytes of an event by its number in the burst: the sizes of many follow the curve without chance."""
        share = (spread * event_mix.GOLDEN % (1 << 32)) / (1 << 32)
        for (low, least), (high, most) in zip(self._points, self._points[1:], strict=False):
            if share < high:
                return least + round((most - least) * (share - low) / (high - low))
        return self.most


def find_problem(body: Mapping[str, Any], *, sized: bool) -> str:
    """Why a body cannot be used; empty where it can."""
    try:
        text = json.dumps(body, allow_nan=False)
    except ValueError:
        return "it holds a number that JSON does not have, such as .nan or .inf"
    used = _PLACEHOLDER.findall(text)
    unknown = [name for name in used if name not in NAMES]
    if unknown:
        return f"{{{unknown[0]}}} is not known; allowed are {ALLOWED}"
    if "event_id" not in used:
        return "{event_id} is missing: each event needs an id of its own"
    if used.count(FILLER) > 1 or (sized and FILLER not in used):
        return "{filler} has to stand there once, so that bodies have their length"
    return ""


class BodyTemplate:
    """Makes the bodies of one kind of event."""

    def __init__(self, body: Mapping[str, Any], sizes: SizeCurve | None = None) -> None:
        """Raises ValueError for a body that cannot be used."""
        problem = find_problem(body, sized=sizes is not None)
        if problem:
            raise ValueError(problem)
        text = json.dumps(body, separators=(",", ":"))
        text = _NUMBER_ALONE.sub(r"\1", text)
        self._parts = _PLACEHOLDER.split(text)
        self._names = tuple(self._parts[1::2])
        self._sizes = sizes
        self._filler = "" if sizes is None else _make_filler(sizes.most + _OFFSETS)

    def measure(self, filling: Filling) -> int:
        """The bytes of one event's body without its filler."""
        return sum(map(len, self._write_parts(filling)))

    def fill(self, filling: Filling) -> str:
        """The body of one event."""
        parts = self._write_parts(filling)
        if self._sizes is not None:
            missing = self._sizes.find_size(filling.spread) - sum(map(len, parts))
            offset = filling.spread * 97 % _OFFSETS
            parts[2 * self._names.index(FILLER) + 1] = self._filler[offset : offset + max(0, missing)]
        return "".join(parts)

    def _write_parts(self, filling: Filling) -> list[str]:
        parts = self._parts.copy()
        for index, name in enumerate(self._names):
            parts[2 * index + 1] = _write_value(filling, name)
        return parts


def _write_value(filling: Filling, name: str) -> str:
    match name:
        case "event_id":
            return _quote(filling.event_id)
        case "scope":
            return _quote(filling.scope)
        case "shard":
            return str(filling.shard)
        case "sequence":
            return str(filling.sequence)
        case "dedupe_key":
            return hashlib.sha256(filling.event_id.encode()).hexdigest()
        case "sent_at":
            return (
                datetime.fromtimestamp(filling.sent_at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
            )
    return ""


def _quote(text: str) -> str:
    """The text as it stands between the quotes of JSON."""
    return json.dumps(text)[1:-1]


def _make_filler(length: int) -> str:
    """Letters and digits without a pattern, which no compression makes short; the same in every task."""
    return "".join(random.Random(0).choices(string.ascii_letters + string.digits, k=length))  # noqa: S311 (no key)
