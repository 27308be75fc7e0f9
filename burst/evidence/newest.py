"""Runs of a place in the order of time: the newest of a phase, a page of them, a phase's history.

The newest attempt is the answer whatever its evidence is worth: a failing one is never passed over for an older one
that holds. Runs of other phases of the group are passed over, and a run whose phase cannot be read ends the search.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, models, run_records
from burst.domain.run import run_ids
from burst.domain.verdict import differences
from burst.evidence import full_verification, places

if TYPE_CHECKING:
    from burst import ports
    from burst.domain.verdict import snapshots
    from burst.evidence import signatures, soundness

MOST_LOOKED_AT = 500
"""Runs of other phases and scopes that are passed over before the search ends without an answer."""
_BEGUN = frozenset({document_names.PLAN, document_names.JOURNAL, document_names.RUN, "control.json"})
"""Documents of a run that never came to a snapshot."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One run of a place, verified."""

    execution_id: str
    verified: full_verification.Verified

    @property
    def figures(self) -> dict[str, Any]:
        """The row of a list, as JSON; only sound evidence has figures."""
        finding = self.verified.finding
        figures = _figures(finding.verdict.snapshot) if finding.verdict else _rollup_figures(finding)
        return {
            "execution_id": self.execution_id,
            "state": finding.state.value,
            "why": finding.why,
            "exit_code": finding.exit_code,
            **figures,
            "sha256": finding.sha256,
        }


_FIGURES = (
    *("phase", "scope", "overall_pass", "blockers", "multiplier", "admit_ratio"),
    *("elapsed_seconds", "cost_usd", "prior", "attempt", "changed_terms"),
)


def _figures(snapshot: snapshots.Snapshot) -> dict[str, Any]:
    checks, prior = snapshot.burst_load_checks, snapshot.source_snapshot_refs.prior
    return {
        "phase": snapshot.phase,
        "scope": snapshot.platform_run_id,
        "overall_pass": snapshot.overall_pass,
        "blockers": snapshot.blockers,
        "multiplier": canonical.shorten(checks.achieved_multiplier.value),
        "admit_ratio": canonical.shorten(checks.admit_ratio.value),
        "elapsed_seconds": canonical.shorten(snapshot.burst_execution_window.elapsed_seconds),
        "cost_usd": canonical.shorten(snapshot.cost.estimated_usd) if snapshot.cost else None,
        "prior": prior.execution_id if prior else None,
        "attempt": snapshot.attempt.number if snapshot.attempt else None,
        "changed_terms": sorted({key for entry in snapshot.blocker_register for key in entry.changed_terms}),
    }


def _rollup_figures(finding: soundness.Verification) -> dict[str, Any]:
    """The figures of a roll-up, which has no load of its own; all None where the evidence does not hold."""
    figures: dict[str, Any] = dict.fromkeys(_FIGURES)
    if finding.rollup is not None:
        snapshot = finding.rollup.snapshot
        figures |= {
            "phase": snapshot.phase,
            "overall_pass": snapshot.overall_pass,
            "blockers": snapshot.blockers,
            "elapsed_seconds": canonical.shorten(snapshot.runtime_budget.elapsed_seconds),
            "cost_usd": canonical.shorten(snapshot.runtime_budget.cost_usd),
        }
    return figures


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One attempt of a history and the changes from the one before; None where one is unsound or none came before."""

    attempt: Attempt
    change: differences.Difference | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """Which runs of a place are listed; None: of every phase, of every scope.

    `now` says where in time to look first, and changes no answer.
    """

    now: datetime
    phase: str | None = None
    scope: str | None = None


def attempts(place: str, opener: places.Opener, run_filter: Filter) -> Iterator[tuple[str, places.RunPlace]]:
    """The runs of a place that pass a filter, the newest first.

    Raises `errors.EvidenceUnknown` where the phase and scope of a run cannot be read.
    """
    runs = opener.runs(place)
    group = run_filter.phase.lower().split(".")[0] if run_filter.phase else None
    passed_over = 0
    yielded: set[str] = set()
    for listed in runs.newest_first(group, run_filter.now):
        name = _find_run(runs, listed)
        if name in yielded:
            continue  # under its alias already
        if name is not None and _is_of(runs, name, run_filter):
            passed_over = 0
            yielded.add(name)
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
    run_filter: Filter,
    *,
    everywhere: bool | None,
    priors: bool,
    trust: signatures.Trust,
) -> Attempt:
    """The newest attempt, verified, whatever its state. Raises `errors.NoSuchPlace` where there is none."""
    for name, run in attempts(place, opener, run_filter):
        verified = full_verification.verify(run, opener, everywhere=everywhere, priors=priors, trust=trust)
        return Attempt(execution_id=name, verified=verified)
    phase = f"of phase {run_filter.phase}" if run_filter.phase else ""
    scope = f"in scope {run_filter.scope}" if run_filter.scope else ""
    raise errors.NoSuchPlace(f"absent: no run {f'{phase} {scope}'.strip() or 'at all'} under {place}")


def page(
    place: str, opener: places.Opener, run_filter: Filter, *, limit: int, before: str | None, priors: bool
) -> list[Attempt]:
    """At most `limit` runs, the newest first, each verified where it lies; those older than `before` where given."""
    if limit < 1:
        raise errors.UsageError(f"at most {limit} runs: allowed is 1 or more")
    runs = attempts(place, opener, run_filter)
    # Consumes the runs up to `before`, so that only older ones remain.
    if before is not None and all(name != before for name, _ in runs):
        raise errors.UsageError(f"{place}: run {before} is not among those asked for, so none can be older than it")
    return [
        Attempt(execution_id=name, verified=full_verification.verify(run, opener, everywhere=False, priors=priors))
        for name, run in itertools.islice(runs, limit)
    ]


def history(steps: list[Attempt]) -> list[Step]:
    """The attempts from the oldest to the newest, each with the changes from the one before it."""
    history: list[Step] = []
    before: Attempt | None = None
    for attempt in reversed(steps):
        history.append(Step(attempt=attempt, change=_compare(before, attempt)))
        before = attempt
    return history


def _compare(before: Attempt | None, after: Attempt) -> differences.Difference | None:
    verdict_before = before.verified.finding.verdict if before else None
    verdict_after = after.verified.finding.verdict
    if verdict_before is None or verdict_after is None:
        return None
    return differences.compare(verdict_before.snapshot, verdict_after.snapshot)


def _find_run(runs: ports.Runs, listed: str) -> str | None:
    """The run a listed id stands for, itself or the one its alias names; None where it is no run."""
    store = runs.store(listed)
    names = store.names()
    if document_names.ALIAS in names and document_names.PLAN not in names:
        return _behind(runs, listed, store)
    begun = _BEGUN.intersection(names) or any(map(document_names.is_snapshot_name, names))
    return listed if begun else None


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
    elif any(map(document_names.is_snapshot_name, names)):
        raise errors.EvidenceCorrupt(f"alias {alias} names run {name}, which was never announced")
    return name if _BEGUN.intersection(names) else None


def _is_of(runs: ports.Runs, name: str, run_filter: Filter) -> bool:
    """Whether a run passes a filter. Raises `errors.EvidenceUnknown` where its phase and scope cannot be read."""
    if run_filter.phase is None and run_filter.scope is None:
        return True
    store = runs.store(name)
    slugs = set(map(document_names.find_snapshot_slug, _snapshots(store)))
    if run_filter.scope is None and run_filter.phase is not None and slugs:
        return run_filter.phase.lower().replace(".", "_") in slugs
    phase, scope = _read_phase_and_scope(store, name)
    return run_filter.phase in (None, phase) and run_filter.scope in (None, scope)


def _read_phase_and_scope(store: ports.EvidenceStore, name: str) -> tuple[str, str]:
    """The phase and scope in a run's plan; where the plan was pruned, in its snapshot."""
    from_snapshots = [(document, "platform_run_id") for document in _snapshots(store)]
    for document, key in [(document_names.PLAN, "scope"), *from_snapshots]:
        try:
            value = canonical.decode(store.read(document))
            return str(value["phase"]), str(value[key])
        except errors.EvidenceIncomplete:
            continue
        except (errors.BurstError, LookupError, TypeError) as exc:
            raise errors.EvidenceUnknown(f"unknown: cannot read the phase and scope of run {name}: {exc}") from exc
    raise errors.EvidenceUnknown(f"unknown: cannot read the phase and scope of run {name}: it has no plan")


def _snapshots(store: ports.EvidenceStore) -> list[str]:
    return [name for name in store.names() if document_names.is_snapshot_name(name)]
