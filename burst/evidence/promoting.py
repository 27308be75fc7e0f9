"""Promoting: the runs of a block verified and read, and the promotion derived from them, once and again.

A run counts only by evidence that holds. What lies between the runs of a block is asked of their attempts and of the
place they lie in.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from burst.adapters import signing
from burst.domain.basics import errors
from burst.domain.documents import document_names, models, preflight_results, task_results
from burst.domain.plan import plans
from burst.domain.verdict import attestations, blocks, measures, promotion_statements, promotions, snapshots, stability
from burst.evidence import full_verification, newest, places
from burst.kit import files

if TYPE_CHECKING:
    from burst.evidence import signatures, soundness

MOST_PLACE_RUNS = 2000
"""How many runs of a place are looked at for one block."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldRun:
    """A run whose evidence holds, with its place."""

    place: places.RunPlace
    held: soundness.HeldEvidence


def promote(
    runs: Sequence[str],
    opener: places.Opener,
    *,
    measure: str = measures.P95,
    gate: str | None = None,
    trust: signatures.Trust,
    now: datetime,
) -> promotions.Promotion:
    """The promotion, or the refusal, of these runs.

    Raises `errors.UsageError` where they are no block, and the error of the evidence where that of one does not hold.
    """
    measures.require_known(measure)
    chosen = gate or measures.GATES.get(measure)
    if chosen is None:
        raise errors.UsageError(f"measure {measure} speaks for no gate by itself; name one with --gate")
    problem = measures.find_gate_problem(measure, chosen)
    if problem:
        raise errors.UsageError(problem)
    held_runs = [_hold(run, opener, trust) for run in runs]
    phases = sorted({run.held.plan.phase for run in held_runs})
    if len(phases) > 1:
        raise errors.UsageError(f"the runs are of phases {', '.join(phases)}; a block is of one")
    return _judge(held_runs, opener, measure, chosen, now)


def derive_again(
    content: bytes, search: Sequence[str], opener: places.Opener, *, trust: signatures.Trust, now: datetime
) -> promotions.Promotion:
    """The promotion in these bytes, derived again from the runs that it cites, each looked for in the places named.

    Raises `errors.EvidenceCorrupt` where another comes of them, `errors.EvidenceUnknown` where a run is not to be had.
    """
    published = promotions.read(content)
    held_runs = [_find_cited(run, search, opener, trust) for run in published.runs]
    again = _judge(held_runs, opener, published.measure, published.gate, now)
    if not promotions.list_differing(again, published):
        return published
    within = blocks.judge_within(again, published.history)
    differing = promotions.list_differing(within, published)
    if differing or again.history.known_by == published.history.known_by == "attempts":
        fields = ", ".join(differing or promotions.list_differing(again, published))
        raise errors.EvidenceCorrupt(f"refuted: the runs give another promotion; it differs in {fields}")
    raise errors.EvidenceUnknown(
        "the runs give the same figures, and what lay between and before them is not to be seen from here "
        f"(by {again.history.known_by}; by {published.history.known_by} when it was made)"
    )


def check_signature(file: Path, content: bytes, trust: signatures.Trust) -> None:
    """Whether the signature beside a promotion is over it, and by the key that the caller trusts.

    Raises `errors.EvidenceCorrupt` where it is not, or where one was required and is not there.
    """
    beside = file.with_name(file.name + promotion_statements.SUFFIX)
    if not beside.is_file():
        if trust.required:
            raise errors.EvidenceCorrupt(f"bad-signature: {beside} is not there, and a signature was required")
        return
    envelope = attestations.read(files.read_named(beside, "the signature"))
    expected = promotion_statements.make_statement(promotions.read(content), content)
    promotion_statements.check_statement(envelope.statement, expected)
    if trust.key is not None:
        signing.read_public_key(trust.key).check(envelope)


def _judge(
    held_runs: Sequence[HeldRun], opener: places.Opener, measure: str, gate: str, now: datetime
) -> promotions.Promotion:
    read = [_read_run(run, measure) for run in held_runs]
    plan = max(held_runs, key=lambda run: str(run.held.snapshot.execution_id)).held.plan
    phase, declared = plan.phase, plan.gates.find_block(gate)
    terms = blocks.BlockTerms(
        phase=phase,
        gate=gate,
        measure=measure,
        unit=measures.find_unit(measure),
        runs=declared or stability.BLOCK,
        declared=declared is not None,
        samples_at_least=measures.LEAST_ANSWERS.get(measure),
    )
    return blocks.judge(read, terms, _list_place_runs(held_runs, opener, phase, now))


def _hold(run: str, opener: places.Opener, trust: signatures.Trust) -> HeldRun:
    """A run whose evidence holds; raises the error of its state, which says of which run, where it does not."""
    reached: list[soundness.HeldEvidence] = []
    opened = opener.run(run)
    verified = full_verification.verify(opened, opener, trust=trust, checks=[reached.append])
    try:
        verified.finding.require()
    except errors.BurstError as exc:
        raise type(exc)(f"{run}: {exc}; nothing was promoted") from exc
    held = reached[0]
    if verified.finding.name != held.name:
        raise errors.EvidenceIncomplete(f"{run}: {verified.finding.why}; publish it first: burst resume {run}")
    return HeldRun(place=opened, held=held)


def _find_cited(
    run: promotions.PromotedRun, search: Sequence[str], opener: places.Opener, trust: signatures.Trust
) -> HeldRun:
    for place in search:
        cited = f"{place.rstrip('/')}/{run.execution_id}"
        try:
            held = _hold(cited, opener, trust)
        except errors.EvidenceIncomplete:
            continue
        if held.held.verdict.sha256 != run.sha256:
            raise errors.EvidenceCorrupt(f"{cited}: its snapshot is not the one cited by digest {run.sha256[:12]}")
        return held
    listed = ", ".join(search) or "no place"
    raise errors.EvidenceUnknown(f"run {run.execution_id} is not to be had in {listed}; name its place with --runs")


def _read_run(run: HeldRun, measure: str) -> blocks.BlockRun:
    held, snapshot, slug = run.held, run.held.snapshot, run.held.plan.slug
    window = snapshot.burst_execution_window.counted_window
    if window is None or snapshot.execution_id is None or snapshot.contract is None:
        raise errors.Refused(
            f"run {snapshot.execution_id}: a run without a counted window and a contract is in no block; nothing was "
            "promoted"
        )
    name = held.name if measure.startswith(f"{measures.SNAPSHOT}:") else measures.find_document(measure, slug)
    content = held.content if name == held.name else held.documents.get(name)
    figure = measures.read_measure(measure, content, name, _count_go_tasks(held))
    attempt = snapshot.attempt
    return blocks.BlockRun(
        execution_id=snapshot.execution_id,
        scope=str(snapshot.platform_run_id),
        snapshot=held.name,
        sha256=held.verdict.sha256,
        passed=snapshot.overall_pass,
        contract=snapshot.contract.sha256,
        setting=blocks.describe_setting(held.plan, _read_machine(held)),
        window=window.window,
        value=figure.value,
        problem=figure.problem,
        samples=figure.samples,
        attempt=attempt.number if attempt else None,
        claimed=attempt.contract if attempt else None,
        earlier=tuple(attempt.earlier) if attempt else (),
    )


def _count_go_tasks(held: soundness.HeldEvidence) -> int | None:
    content = held.documents.get(document_names.task_result_name(held.plan.slug))
    if content is None:
        return None
    go_tasks = models.read(task_results.TaskResult, content).go_tasks
    return held.plan.target.tasks if go_tasks is None else go_tasks


def _read_machine(held: soundness.HeldEvidence) -> blocks.Setting | None:
    content = held.documents.get(document_names.preflight_name(held.plan.slug))
    return None if content is None else models.read(preflight_results.Preflight, content).machine


def _list_place_runs(
    held_runs: Sequence[HeldRun], opener: places.Opener, phase: str, now: datetime
) -> list[blocks.PlaceRun] | None:
    """The runs of the phase at the one place in which all of these lie, the oldest first; None where there is none."""
    parents = {_find_parent(run.place.place) for run in held_runs}
    parent = parents.pop() if len(parents) == 1 else None
    if parent is None:
        return None
    try:
        return _list_awaited(held_runs, newest.attempts(parent, opener, newest.Filter(now=now, phase=phase)))
    except errors.BurstError:
        return None  # the attempts may tell enough


def _list_awaited(
    held_runs: Sequence[HeldRun], listed: Iterator[tuple[str, places.RunPlace]]
) -> list[blocks.PlaceRun] | None:
    awaited = {str(run.held.snapshot.execution_id) for run in held_runs}
    place_runs: list[blocks.PlaceRun] = []
    for name, run in itertools.islice(listed, MOST_PLACE_RUNS):
        place_run = _read_place_run(name, run)
        if not awaited and not (place_run.passed and place_run.contract):
            break  # a streak ends here at the latest
        if awaited or place_runs:
            place_runs.append(place_run)
        awaited.discard(name)
    return place_runs[::-1] if not awaited else None


def _find_parent(place: str) -> str | None:
    """The place that holds a run among others; a bundle holds one."""
    if place.startswith(places.S3):
        return place.rstrip("/").rpartition("/")[0]
    path = Path(place).absolute()
    return None if path.is_file() else str(path.parent)


def _read_place_run(name: str, run: places.RunPlace) -> blocks.PlaceRun:
    """A run as its documents show it, without a proof: it may break a streak, and nothing is promoted by it."""
    unknown = blocks.PlaceRun(execution_id=name, passed=None, contract=None)
    try:
        snapshot = _read_snapshot(run)
    except errors.BurstError:
        return unknown
    if snapshot is None or snapshot.contract is None:
        return unknown
    return blocks.PlaceRun(
        execution_id=name,
        passed=snapshot.overall_pass,
        contract=snapshot.contract.sha256,
        setting=_read_setting(run),
    )


def _read_setting(run: places.RunPlace) -> blocks.Setting | None:
    """The setting of a run; None where its documents were pruned, or cannot be read."""
    try:
        plan = plans.read(run.store.read(document_names.PLAN), source=document_names.PLAN)
        name = document_names.preflight_name(plan.slug)
        if name not in run.store.names():
            return blocks.describe_setting(plan, None)
        preflight = models.read(preflight_results.Preflight, run.store.read(name))
    except (errors.BurstError, UnicodeDecodeError):
        return None
    return blocks.describe_setting(plan, preflight.machine)


def _read_snapshot(run: places.RunPlace) -> snapshots.Snapshot | None:
    names = [name for name in run.store.names() if document_names.is_snapshot_name(name)]
    return models.read(snapshots.Snapshot, run.store.read(names[0])) if len(names) == 1 else None
