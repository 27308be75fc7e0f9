"""Envelopes: reads the body of a push. A malformed body raises no error: its delivery holds the reasons.

The rules are pure functions, so they can be read and tested in one place. Every text that reaches an index is bounded
and free of NUL here, because Postgres would refuse the whole batch for one delivery.
"""

import hashlib
from dataclasses import dataclass
from typing import Final, Literal

import orjson

ADMIT: Final = "ADMIT"
DUPLICATE: Final = "DUPLICATE"
QUARANTINE: Final = "QUARANTINE"
Decision = Literal["ADMIT", "DUPLICATE", "QUARANTINE"]

LONGEST_TEXT = 256


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedEvent:
    """One delivered event. A delivery with `reasons` is malformed, goes to quarantine, and has no dedupe key."""

    scope: str
    event_class: str
    event_id: str
    event_type: str
    payload_hash: str
    dedupe_key: str
    reasons: tuple[str, ...] = ()


def read_delivery(body: bytes) -> ReceivedEvent:
    """Reads a body. An event without a usable id gets an id from the body's hash, so its receipt is stable too."""
    try:
        envelope = orjson.loads(body)
    except orjson.JSONDecodeError:
        return _quarantine({}, body, ["NOT_JSON"])
    if not isinstance(envelope, dict):
        return _quarantine({}, body, ["NOT_AN_OBJECT"])
    reasons = [
        f"{'INVALID' if name in envelope else 'MISSING'}_{name.upper()}"
        for name in ("event_id", "event_type", "platform_run_id")
        if not _is_usable(envelope.get(name))
    ]
    if envelope.get("event_class") is not None and not _is_usable(envelope["event_class"]):
        reasons.append("INVALID_EVENT_CLASS")
    if not isinstance(envelope.get("payload"), dict):
        reasons.append("PAYLOAD_NOT_AN_OBJECT")
    if reasons:
        return _quarantine(envelope, body, reasons)
    return _accept(envelope)


def make_receipt_id(decision: Decision, event_id: str) -> str:
    """The receipt's id. It depends on decision and event only, so the same decision again has the same receipt."""
    return _digest(f"{decision}:{event_id}")[:32]


def _accept(envelope: dict[str, object]) -> ReceivedEvent:
    scope, event_id, event_type = (str(envelope[name]) for name in ("platform_run_id", "event_id", "event_type"))
    event_class = str(envelope.get("event_class") or event_type)
    payload = orjson.dumps(envelope["payload"], option=orjson.OPT_SORT_KEYS)
    return ReceivedEvent(
        scope=scope,
        event_class=event_class,
        event_id=event_id,
        event_type=event_type,
        payload_hash=hashlib.sha256(payload).hexdigest(),
        dedupe_key=_digest(f"{scope}:{event_class}:{event_id}"),
    )


def _quarantine(envelope: dict[str, object], body: bytes, reasons: list[str]) -> ReceivedEvent:
    body_hash = hashlib.sha256(body).hexdigest()
    usable = {name: value for name, value in envelope.items() if _is_usable(value)}
    return ReceivedEvent(
        scope=str(usable.get("platform_run_id", "")),
        event_class=str(usable.get("event_class", "")),
        event_id=str(usable.get("event_id", f"body_{body_hash[:32]}")),
        event_type=str(usable.get("event_type", "")),
        payload_hash=body_hash,
        dedupe_key="",
        reasons=tuple(reasons),
    )


def _is_usable(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= LONGEST_TEXT and "\0" not in value


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
