"""Attempting: claims the number of a run among the attempts of its phase, before its launch.

A claim is created only where there is none, so two controllers that begin at once never take one number: the later one
reads what the earlier one claimed, and takes the next.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

from burst import ports
from burst.domain.basics import errors
from burst.domain.documents import attempts, document_names, models
from burst.domain.plan import plans

MOST_TRIES = 1000
"""More than controllers ever begin one phase at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptPlaces:
    """Where the attempts of a phase are claimed, and where the documents of an earlier one lie."""

    claims: ports.EvidenceStore
    open_run: Callable[[str], ports.EvidenceStore] = field(repr=False)


def claim(plan: plans.Plan, contract: str, now: datetime, places: AttemptPlaces) -> attempts.AttemptClaim:
    """The attempt of a run, its number claimed; `contract` is the digest of its terms.

    Raises `errors.Refused` where an earlier claim cannot be read, and what the store raises.
    """
    verdicts: dict[str, attempts.EarlierAttempt] = {}
    snapshot_name = document_names.snapshot_name(plan.slug, plan.kind)
    for _ in range(MOST_TRIES):
        claimed = _list_claimed(places)
        for entry in claimed:
            if entry.execution_id not in verdicts:  # each is looked up once, however often a number was taken
                verdicts[entry.execution_id] = _find_verdict(entry, snapshot_name, places)
        earlier = [verdicts[entry.execution_id] for entry in claimed]
        attempt = attempts.AttemptClaim(
            execution_id=str(plan.execution_id),
            platform_run_id=plan.scope,
            phase=plan.phase,
            number=len(earlier) + 1,
            contract=contract,
            claimed_utc=now,
            earlier=earlier,
            promoted=plan.gates.promoted,
        )
        with contextlib.suppress(errors.Conflict):
            places.claims.put_once(attempts.make_name(attempt.number), attempt.content())
            return attempt
    raise errors.Unavailable(f"no attempt of {plan.phase} could be claimed in {MOST_TRIES} tries; try again")


def _list_claimed(places: AttemptPlaces) -> list[attempts.EarlierAttempt]:
    """Every attempt so far, as the last of them names those before it."""
    number = attempts.find_last(places.claims.names())
    if not number:
        return []
    name = attempts.make_name(number)
    try:
        last = models.read(attempts.AttemptClaim, places.claims.read(name))
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown, errors.EvidenceIncomplete) as exc:
        raise errors.Refused(
            f"attempt {number} of this phase cannot be read ({name}: {exc}); nothing was launched"
        ) from exc
    if last.number != number:
        raise errors.Refused(f"{name} is the claim of attempt {last.number}; nothing was launched")
    return [*last.earlier, last.entry]


def _find_verdict(entry: attempts.EarlierAttempt, snapshot_name: str, places: AttemptPlaces) -> attempts.EarlierAttempt:
    """An earlier attempt with its verdict, where its snapshot can be read."""
    if entry.verdict is not None:
        return entry
    try:
        snapshot = places.open_run(entry.execution_id).read(snapshot_name)
    except errors.BurstError:
        return entry
    return attempts.read_verdict(entry, snapshot)
