"""Ages: how long ago the newest run of a place ended, and whether that is too long for a schedule that is kept."""

from __future__ import annotations

import dataclasses
from datetime import datetime
from typing import TYPE_CHECKING

from burst.domain.basics import instants, wording
from burst.domain.run import run_ids
from burst.domain.verdict import snapshots
from burst.evidence import soundness

if TYPE_CHECKING:
    from burst.evidence import full_verification

MOST_AHEAD_SECONDS = 300.0
"""How far a run may lie in the future: clocks differ, and a run of next year would silence every complaint."""


def hold_to_age(
    execution_id: str, verified: full_verification.Verified, max_age_seconds: float, now: datetime
) -> full_verification.Verified:
    """The result for the newest run, held to an age: one that is older is `too-old`, where its evidence holds.

    The age counts from the end of its last task, or from the instant in its id where it has none.
    """
    snapshot = verified.finding.shown
    if snapshot is None:
        return verified
    ended_at = snapshot.burst_execution_window.end_utc if isinstance(snapshot, snapshots.Snapshot) else None
    at = ended_at or run_ids.read_stamp(execution_id)
    if at is None:
        return _refuse(verified, soundness.EvidenceState.UNKNOWN, f"nothing tells when {execution_id} was")
    age_seconds = instants.seconds_between(at, now)
    if age_seconds < -MOST_AHEAD_SECONDS:
        words = f"{execution_id} is of {instants.text(at)}, which lies in the future"
        return _refuse(verified, soundness.EvidenceState.UNKNOWN, words)
    if age_seconds <= max_age_seconds:
        return verified
    age, allowed = wording.format_span(age_seconds), wording.format_span(max_age_seconds)
    more = wording.format_span(age_seconds - max_age_seconds)
    words = f"no run came since {execution_id}, {instants.text(at)}: {age} ago, {more} more than the {allowed} allowed"
    return _refuse(verified, soundness.EvidenceState.TOO_OLD, words)


def _refuse(
    verified: full_verification.Verified, state: soundness.EvidenceState, why: str
) -> full_verification.Verified:
    return dataclasses.replace(verified, finding=soundness.Verification(state=state, why=why))
