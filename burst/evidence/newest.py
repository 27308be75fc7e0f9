"""Runs of a place in the order of time: the newest of a phase, a page of them, a phase's history.

The newest attempt is the answer whatever its evidence is worth: a failing one is never passed over for an older one
that holds. Runs of other phases of the group are passed over, and one whose phase cannot be told ends the search.
"""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst import ports
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, models, run_records
from burst.domain.run import run_ids
from burst.domain.verdict import differences
from burst.evidence import full_verification, places, signatures

MOST_LOOKED_AT = 500
"""Runs of other phases and scopes that are passed over before nobody can tell."""
_SNAPSHOT = document_names.snapshot_name("")
_BEGUN = frozenset({document_names.PLAN, document_names.JOURNAL, document_names.RUN, "control.json"})
"""What a run leaves that never came to a snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a place, verified."""

    execution_id: str
    verified: full_verification.Verified

    @property
    def figures(self) -> dict[str, Any]:
        """What a list shows of it, as JSON; only what is sound has figures."""
        finding = self.verified.finding
        snapshot = finding.snapshot or {}
        loaded, window = snapshot.get("burst_load_checks", {}), snapshot.get("burst_execution_window", {})
        cost = snapshot.get("cost") or {}
        return {
            "execution_id": self.execution_id,
            "state": finding.state.value,
            "why": finding.why,
            "exit_code": finding.exit_code,
            "phase": snapshot.get("phase"),
            "scope": snapshot.get("platform_run_id"),
            "overall_pass": snapshot.get("overall_pass"),
            "blockers": snapshot.get("blockers"),
            "multiplier": (loaded.get("achieved_multiplier") or {}).get("value"),
            "admit_ratio": (loaded.get("admit_ratio") or {}).get("value"),
            "elapsed_seconds": window.get("elapsed_seconds"),
            "cost_usd": cost.get("estimated_usd"),
            "prior": ((snapshot.get("source_snapshot_refs") or {}).get("prior") or {}).get("execution_id"),
            "sha256": finding.sha256,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One attempt of a history and what changed from the one before; None where one is unsound or none came before."""

    attempt: Attempt
    change: differences.Difference | None


def attempts(
    place: str, opener: places.Opener, *, phase: str | None, scope: str | None, now: datetime
) -> Iterator[tuple[str, places.RunPlace]]:
    """The runs of a place, the newest first, of one phase and scope where they are given.

    Raises `errors.EvidenceUnknown` where it cannot be told of a run whether it is one of them.
    """
    runs = opener.runs(place)
    group = phase.lower().split(".")[0] if phase else None
    passed_over = 0
    given: set[str] = set()
    for listed in runs.newest_first(group, now):
        name = _named(runs, listed)
        if name in given:
            continue  # under its alias already
        if name is not None and _is_of(runs, name, phase, scope):
            passed_over = 0
            given.add(name)
            yield name, places.RunPlace(place=f"{place.rstrip('/')}/{name}", store=runs.store(name), beside=runs)
            continue
        passed_over += 1
        if passed_over >= MOST_LOOKED_AT:
            raise errors.EvidenceUnknown(
                f"{place}: the next {MOST_LOOKED_AT} runs are of other phases or scopes; name the run itself"
            )


def latest(
    place: str,
    opener: places.Opener,
    *,
    phase: str | None,
    scope: str | None,
    now: datetime,
    everywhere: bool | None,
    priors: bool,
    trust: signatures.Trust,
) -> Attempt:
    """The newest attempt, verified, whatever its state. Raises `errors.EvidenceIncomplete` where there is none."""
    for name, run in attempts(place, opener, phase=phase, scope=scope, now=now):
        found = full_verification.verify(run, opener, everywhere=everywhere, priors=priors, trust=trust)
        return Attempt(execution_id=name, verified=found)
    wanted = " ".join([f"of phase {phase}" if phase else "", f"in scope {scope}" if scope else ""]).strip()
    raise errors.EvidenceIncomplete(f"absent: no run {wanted or 'at all'} under {place}")


def page(
    place: str,
    opener: places.Opener,
    *,
    phase: str | None,
    scope: str | None,
    now: datetime,
    limit: int,
    before: str | None,
    priors: bool,
) -> list[Attempt]:
    """At most `limit` runs, the newest first, each verified where it lies; those older than `before` where given."""
    if limit < 1:
        raise errors.UsageError(f"at most {limit} runs: allowed is 1 or more")
    found = attempts(place, opener, phase=phase, scope=scope, now=now)
    if before is not None and all(name != before for name, _ in found):  # what is left of it is what is older
        raise errors.UsageError(f"{place}: run {before} is not among those asked for, so none can be older than it")
    return [
        Attempt(execution_id=name, verified=full_verification.verify(run, opener, everywhere=False, priors=priors))
        for name, run in itertools.islice(found, limit)
    ]


def history(steps: list[Attempt]) -> list[Step]:
    """The attempts from the oldest to the newest, each with what changed from the sound one before it."""
    told: list[Step] = []
    before: Attempt | None = None
    for attempt in reversed(steps):
        told.append(Step(attempt=attempt, change=_changed(before, attempt)))
        before = attempt
    return told


def _changed(before: Attempt | None, after: Attempt) -> differences.Difference | None:
    was = before.verified.finding.snapshot if before else None
    now = after.verified.finding.snapshot
    return differences.compare(was, now) if was and now else None


def _named(runs: ports.Runs, listed: str) -> str | None:
    """The run a listed id stands for, itself or the one its alias names; None where it is no run."""
    store = runs.store(listed)
    names = store.names()
    if document_names.ALIAS in names and document_names.PLAN not in names:
        return _behind(runs, listed, store)
    known = _BEGUN.intersection(names) or any(name.endswith(_SNAPSHOT) for name in names)
    return listed if known else None


def _behind(runs: ports.Runs, alias: str, store: ports.EvidenceStore) -> str | None:
    """The run an alias names; None for one that never began. Raises `errors.EvidenceCorrupt` where a committed run was
    not announced when the alias says: an alias makes a run the newest, so it is not believed by itself."""
    name = models.read(run_records.Alias, store.read(document_names.ALIAS)).execution_id
    behind = runs.store(name)
    names = behind.names()
    if document_names.RUN in names:
        announced = models.read(run_records.Announcement, behind.read(document_names.RUN))
        if alias != run_ids.make_alias(name, alias.partition("_")[0], announced.created_utc):
            raise errors.EvidenceCorrupt(f"alias {alias} is not the one of run {name}, which began at another time")
    elif any(each.endswith(_SNAPSHOT) for each in names):
        raise errors.EvidenceCorrupt(f"alias {alias} names run {name}, which was never announced")
    return name if _BEGUN.intersection(names) else None


def _is_of(runs: ports.Runs, name: str, phase: str | None, scope: str | None) -> bool:
    """Whether a run is of a phase and scope. Raises `errors.EvidenceUnknown` where that cannot be told."""
    if phase is None and scope is None:
        return True
    store = runs.store(name)
    slugs = {one.removesuffix(_SNAPSHOT) for one in store.names() if one.endswith(_SNAPSHOT)}
    if scope is None and phase is not None and slugs:
        return phase.lower().replace(".", "_") in slugs
    told = _told(store, name)
    return phase in (None, told[0]) and scope in (None, told[1])


def _told(store: ports.EvidenceStore, name: str) -> tuple[str, str]:
    """The phase and scope a run's plan says; of a run whose plan was pruned, its snapshot."""
    for document, key in [(document_names.PLAN, "scope"), *((one, "platform_run_id") for one in _snapshots(store))]:
        try:
            value = canonical.decode(store.read(document))
            return str(value["phase"]), str(value[key])
        except errors.EvidenceIncomplete:
            continue
        except (errors.BurstError, LookupError, TypeError) as exc:
            raise errors.EvidenceUnknown(
                f"unknown: of which phase and scope run {name} is cannot be told: {exc}"
            ) from exc
    raise errors.EvidenceUnknown(f"unknown: of which phase and scope run {name} is cannot be told: it has no plan")


def _snapshots(store: ports.EvidenceStore) -> list[str]:
    return [name for name in store.names() if name.endswith(_SNAPSHOT)]
