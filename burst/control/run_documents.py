"""Evidence: turns what a run knows into its documents and writes each once, the snapshot last.

A document that stands in the store is frozen: a controller that continues reads it and never makes it again, so the
snapshot always speaks of the bytes that are there.
"""

import contextlib
import math
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Literal

from burst import ports
from burst.control import publication, recorder
from burst.domain.basics import canonical, errors, instants, redaction
from burst.domain.documents import (
    document_names,
    fact_answers,
    models,
    run_records,
    task_results,
    window_metrics,
)
from burst.domain.plan import plans
from burst.domain.run import runs
from burst.domain.run.events import ending_events
from burst.domain.tasks import one_shots, services, tasks
from burst.domain.verdict import attestations, cases, snapshots, unpublished
from burst.kit import measure

Render = Callable[[Mapping[str, Any], Mapping[str, Any] | None], bytes]
"""Renders the report from snapshot and metrics; the same input gives the same bytes."""


class RunDocuments:
    """The documents of one run."""

    def __init__(
        self,
        *,
        plan: plans.Plan,
        record: recorder.Recorder,
        store: ports.EvidenceStore,
        render: Render,
        places: Sequence[ports.EvidencePlace] = (),
        signer: Callable[[], ports.Signer] | None = None,
    ) -> None:
        self._plan = plan
        self._record = record
        self._store = store
        self._render = render
        self._places = tuple(places)
        self._signer = signer

    def has(self, name: str) -> bool:
        """Whether the document is frozen already. Raises `errors.PublicationFailed` when that cannot be told."""
        return name in self._names()

    def _names(self) -> Sequence[str]:
        try:
            return self._store.names()
        except errors.BurstError as exc:
            raise errors.PublicationFailed(f"what was written already cannot be told: {exc}") from exc

    def _read(self, name: str) -> bytes:
        try:
            return self._store.read(name)
        except errors.BurstError as exc:
            raise errors.PublicationFailed(f"{name} could not be read back: {exc}") from exc

    def freeze(self, name: str, content: bytes) -> None:
        """Writes one document once. Raises `errors.PublicationFailed` when it cannot be made durable."""
        self._record.note(ending_events.DocumentIntended(name=name, sha256=canonical.digest(content)))
        try:
            self._store.put_once(name, content)
        except (errors.Conflict, errors.Unavailable, OSError) as exc:
            raise errors.PublicationFailed(f"{name} could not be written: {exc}") from exc
        self._record.note(ending_events.DocumentWritten(name=name))

    def freeze_metrics(self, measured: measure.Measurement) -> None:
        """Freezes the counts of the attempt window."""
        name = document_names.metrics_name(self._plan.slug)
        if not self.has(name):
            document = metrics_document(self._plan, self._record.run.execution_id, measured)
            self.freeze(name, redacted(document, self._record.redactor))

    def freeze_facts(self, entries: list[fact_answers.FactEntry]) -> None:
        """Freezes what the fact queries answered."""
        name = document_names.facts_name(self._plan.slug)
        if not self.has(name):
            document = fact_answers.Facts(
                execution_id=self._record.run.execution_id,
                platform_run_id=self._plan.scope,
                facts=[_showable(entry, self._record.redactor) for entry in entries],
            )
            self.freeze(name, redacted(document, self._record.redactor))

    def publish(self, *, layers: list[task_results.LayerEntry]) -> snapshots.Verdict:
        """Freezes the task result, adjudicates from the frozen bytes, and commits by writing the snapshot.

        The snapshot is frozen here only once every place holds every document it names. A verdict that was frozen
        before is published as it is. Raises `errors.PublicationFailed`; what is left then says so (see `unpublished`).
        """
        slug = self._plan.slug
        task_result = document_names.task_result_name(slug)
        if not self.has(task_result):
            prefix = self._record.prefix()[: self._record.run.journal_size]
            document = task_result_document(self._plan, self._record.run, layers, prefix)
            self.freeze(task_result, redacted(document, self._record.redactor))
        standing = set(self._names())
        contents = {name: self._read(name) for name in document_names.adjudicated(slug) if name in standing}
        verdict = self._verdict(contents, frozen=document_names.snapshot_name(slug) in standing)
        if not self.has(document_names.REPORT):
            metrics = contents.get(document_names.metrics_name(slug))
            report = self._render(verdict.document, canonical.decode(metrics) if metrics else None)
            self.freeze(document_names.REPORT, report)
        self._publish(verdict, contents)
        return verdict

    def _verdict(self, contents: Mapping[str, bytes], *, frozen: bool) -> snapshots.Verdict:
        """The verdict of the frozen documents: the one that was frozen where there is one."""
        plan_content = self._read(document_names.PLAN)
        if not frozen:
            return snapshots.adjudicate(cases.of(self._plan, plan_content, contents))
        name = document_names.snapshot_name(self._plan.slug)
        content = self._read(name)
        verifier = models.read(snapshots.Snapshot, content).verifier
        again = snapshots.adjudicate(cases.of(self._plan, plan_content, contents, verifier=verifier))
        if again.content != content:
            raise errors.PublicationFailed(f"the {name} of this folder is not what its documents give: not published")
        return again

    def _publish(self, verdict: snapshots.Verdict, contents: Mapping[str, bytes]) -> None:
        """Signature, documents, snapshot and receipt to where they belong; a failure is left written down as far as can
        be. What is published nowhere needs a receipt only where a failure has to be taken back."""
        name = document_names.snapshot_name(self._plan.slug)
        try:
            if self._signer is not None:
                self._sign(verdict, self._signer)
            published = self._published(contents)
            publication.spread(self._places, published)
            self.freeze(name, verdict.content)
            publication.commit(self._places, name, verdict.content)
        except errors.PublicationFailed as exc:
            self._leave_unpublished(verdict, exc.unwritten)
            raise
        unpublished_here = self.has(document_names.unpublished_name(self._plan.slug))
        if (self._places or unpublished_here) and not self.has(document_names.PUBLICATION):
            receipt = run_records.Publication(
                execution_id=self._record.run.execution_id,
                snapshot=name,
                snapshot_sha256=canonical.digest(verdict.content),
                committed_utc=self._record.note(ending_events.PublicationCommitted()).at,
                places=publication.published(self._places, [*published, name]),
            )
            self.freeze(document_names.PUBLICATION, receipt.content())

    def _leave_unpublished(self, verdict: snapshots.Verdict, failed: errors.Unwritten | None) -> None:
        """The successor first, so that nobody meets the frozen verdict alone; then word of it to every place."""
        slug, why = self._plan.slug, unpublished.why(failed)
        entry = self._record.note(ending_events.PublishFailed(why=why))
        for name, content in (
            (document_names.unpublished_name(slug), unpublished.successor(verdict.content, why)),
            (document_names.snapshot_name(slug), verdict.content),
        ):
            with contextlib.suppress(errors.BurstError, OSError):  # the first failure's successor may stand already
                self._store.put_once(name, content)
        if failed is None:
            return
        failure = run_records.PublicationFailure(
            publication_id=f"{self._record.run.execution_id}-{entry.sequence}",
            execution_id=self._record.run.execution_id,
            platform_run_id=self._plan.scope,
            snapshot_sha256=canonical.digest(verdict.content),
            at_utc=entry.at,
            place=failed.place,
            key=failed.name,
            code=failed.code,
            http_status=failed.http_status,
            request_id=failed.request_id,
            attempts=failed.attempts,
        )
        publication.report(self._places, failure)

    def _published(self, adjudicated: Mapping[str, bytes]) -> dict[str, bytes]:
        """What goes to every place: the journal as the task result names it, and the documents.

        The journal goes first, so that whoever finds a task result finds the journal it speaks of.
        """
        result = models.read(task_results.TaskResult, adjudicated[document_names.task_result_name(self._plan.slug)])
        journal = self._record.prefix()[: result.journal.size] if result.journal else b""
        signature = document_names.signature_name(self._plan.slug)
        return {
            document_names.PLAN: self._read(document_names.PLAN),
            document_names.JOURNAL: journal,
            **adjudicated,
            document_names.REPORT: self._read(document_names.REPORT),
            **({signature: self._read(signature)} if self._signer is not None else {}),
        }

    def _sign(self, verdict: snapshots.Verdict, signer: Callable[[], ports.Signer]) -> None:
        """Freezes a signature over every document and the snapshot to come; one that stands is never made again.

        No two signatures are the same bytes, so whoever continues publishes the one that was frozen, which has to
        speak of what is to be published.
        """
        slug = self._plan.slug
        name = document_names.signature_name(slug)
        subjects = attestations.subjects(
            document_names.snapshot_name(slug), verdict.content, self._read(document_names.REPORT)
        )
        if not self.has(name):
            self.freeze(name, _signed(name, signer, attestations.statement(subjects, verdict.document)))
        try:
            attestations.check(attestations.read(self._read(name)).statement, subjects, verdict.document)
        except errors.EvidenceCorrupt as exc:
            raise errors.PublicationFailed(f"{name} does not speak of what is to be published: {exc}") from exc


def _signed(name: str, signer: Callable[[], ports.Signer], statement: bytes) -> bytes:
    try:
        return signer().sign(statement)
    except errors.BurstError as exc:
        failed = errors.PublicationFailed(f"the documents could not be signed: {exc}")
        failed.unwritten = errors.Unwritten(place="the run folder", name=name, code="NotSigned")
        raise failed from exc


def redacted(document: models.Model, redactor: redaction.Redactor) -> bytes:
    """The canonical bytes of a document, its words cleaned before anything is hashed."""
    return canonical.encode(redactor.fields(document.model_dump(mode="json", by_alias=True)))


def _showable(entry: fact_answers.FactEntry, redactor: redaction.Redactor) -> fact_answers.FactEntry:
    """The answer to a fact; one whose text must not be shown as it is, is none, because another one was not given."""
    if not isinstance(entry.value, str) or redactor.text(entry.value, statement=True) == entry.value:
        return entry
    return entry.model_copy(update={"value": None, "detail": "the query answered text that must not be shown"})


def metrics_document(plan: plans.Plan, execution_id: str, measured: measure.Measurement) -> window_metrics.Metrics:
    """The counts of the attempt window and everything needed to make them again."""
    count = measured.count
    return window_metrics.Metrics(
        execution_id=execution_id,
        platform_run_id=plan.scope,
        window=window_metrics.WindowEntry.of(count.window),
        counts=window_metrics.CountsEntry.of(count.counts),
        bucket_seconds=plan.receipts.bucket,
        buckets=[window_metrics.BucketEntry.of_bucket(bucket) for bucket in count.buckets],
        sql=count.sql,
        binds=dict(count.binds),
        database_clock_utc=count.clock.database_now,
        clock_skew_seconds=count.clock.skew_seconds,
        clock_round_trip_seconds=count.clock.round_trip_seconds,
        settled=measured.settled,
        settle_rounds=[
            window_metrics.SettleRound(counted_utc=one.counted_at, counts=window_metrics.CountsEntry.of(one.counts))
            for one in measured.rounds
        ],
        late=window_metrics.CountsEntry.of(measured.late),
        vanished=window_metrics.CountsEntry.of(measured.vanished),
        counting=window_metrics.Counting.of(count.origin),
    )


def task_result_document(
    plan: plans.Plan, run: runs.Run, layers: list[task_results.LayerEntry], journal_prefix: bytes
) -> task_results.TaskResult:
    """What became of every task, of the layers and of the run as a whole."""
    entries = _task_entries(plan, run)
    starts = [entry.started_utc for entry in entries if entry.started_utc]
    stops = [entry.stopped_utc for entry in entries if entry.stopped_utc]
    start, stop = min(starts, default=None), max(stops, default=None)
    return task_results.TaskResult(
        execution_id=run.execution_id,
        platform_run_id=plan.scope,
        started_utc=start,
        stopped_utc=stop,
        tasks=entries,
        planned_tasks=plan.target.tasks,
        go_utc=run.go_at,
        deadline_utc=run.deadline,
        elapsed_seconds=instants.seconds_between(start, stop) if start and stop else None,
        overshoot_seconds=_overshoot(run, stop),
        stop_reason=run.stopping.reason if run.stopping else None,
        count_problem=run.count_problem,
        layers=_fired(layers, entries),
        outages=list(run.outages),
        early_stop=run.early_stop,
        interruption=_interruption(run),
        one_shots=[*_shot_entries("before", plan.before, run), *_shot_entries("after", plan.after, run)],
        services=_service_entries(plan, run),
        journal=task_results.JournalPrefix(size=len(journal_prefix), sha256=canonical.digest(journal_prefix)),
    )


def _task_entries(plan: plans.Plan, run: runs.Run) -> list[task_results.TaskEntry]:
    """What became of every task that was launched, or may have been."""
    entries = [_task_entry(truth) for truth in sorted(run.truths.values(), key=lambda truth: truth.task.shard_index)]
    return [*entries, *_unaccounted_entries(plan, entries)] if run.unaccounted else entries


def _task_entry(truth: tasks.TaskTruth) -> task_results.TaskEntry:
    return task_results.TaskEntry(
        id=truth.task.task_id,
        shard_index=truth.task.shard_index,
        started_utc=truth.started_at,
        stopped_utc=truth.stopped_at,
        stop_code=truth.stop_code,
        exit_code=truth.exit_code,
        stopped_by=truth.stopped_by.value if truth.stopped_by else None,
        detail=truth.detail,
    )


def _shot_entries(
    when: Literal["before", "after"], shots: Sequence[plans.OneShotSection], run: runs.Run
) -> list[task_results.OneShotEntry]:
    """The one-shots that were asked for; the others were not run, which the gates say."""
    entries = []
    for shot in shots:
        seen = run.shots.get(shot.name)
        if seen is None:
            continue
        truth = seen.truth
        maybe = f"unknown:{shot.name}" if seen.not_started is None else None
        entries.append(
            task_results.OneShotEntry(
                name=shot.name,
                when=when,
                id=truth.task.task_id if truth else maybe,
                started_utc=truth.started_at if truth else None,
                stopped_utc=truth.stopped_at if truth else None,
                stop_code=truth.stop_code if truth else None,
                exit_code=truth.exit_code if truth else None,
                required_exit_code=shot.exit_code,
                stopped_by=truth.stopped_by.value if truth and truth.stopped_by else None,
                problem=one_shots.problem(seen, shot.exit_code),
            )
        )
    return entries


def _service_entries(plan: plans.Plan, run: runs.Run) -> list[task_results.ServiceEntry]:
    if run.scaling is None:
        return []
    cluster = str(plan.target.cluster)
    return [
        task_results.ServiceEntry(
            name=change.name,
            before=change.before,
            desired=change.desired,
            restored=change.name in run.scaling.back,
            detail=run.scaling.back.get(change.name) or run.scaling.problems.get(change.name) or "nobody put it back",
            command=None
            if change.name in run.scaling.back
            else services.restoring_command(cluster, change.name, change.before),
        )
        for change in run.scaling.changes
    ]


def _unaccounted_entries(plan: plans.Plan, known: list[task_results.TaskEntry]) -> list[task_results.TaskEntry]:
    """Tasks that may have been started: nobody knows their ids, and so nobody saw them end."""
    shards = set(range(plan.target.tasks)) - {entry.shard_index for entry in known}
    detail = "its launch was not answered, and what was launched could not be looked for"
    nothing = dict.fromkeys(("started_utc", "stopped_utc", "stop_code", "exit_code", "stopped_by"))
    return [
        task_results.TaskEntry(id=f"unknown:{shard}", shard_index=shard, detail=detail, **nothing)
        for shard in sorted(shards)
    ]


def _overshoot(run: runs.Run, stop: datetime | None) -> float | None:
    if run.deadline is None or stop is None or not run.ended:
        return None
    return max(0.0, instants.seconds_between(run.deadline, stop))


def _interruption(run: runs.Run) -> task_results.Interruption | None:
    if not run.interruptions:
        return None
    signal, at = run.interruptions[0]
    return task_results.Interruption.model_validate({"signal": signal, "at_utc": at})


def _fired(
    layers: list[task_results.LayerEntry], entries: list[task_results.TaskEntry]
) -> list[task_results.LayerEntry]:
    """The layers, with those that stopped a task marked as fired and saying which."""
    stopped: dict[str, list[str]] = {}
    for entry in entries:
        if entry.stopped_by:
            stopped.setdefault(entry.stopped_by, []).append(entry.id)
    return [
        layer.model_copy(update={"state": "fired", "detail": f"stopped {', '.join(stopped[layer.name])}"})
        if layer.name in stopped
        else layer
        for layer in layers
    ]


def no_documents(address: str) -> bytes:
    """For who was given no way to read documents elsewhere. Raises `errors.Refused`."""
    raise errors.Refused(f"{address}: documents elsewhere are not read here")


def ask_facts(
    plan: plans.Plan,
    source: ports.ReceiptSource,
    read_document: Callable[[str], bytes],
    clock: ports.Clock,
    give_up_at: datetime,
) -> list[fact_answers.FactEntry]:
    """Asks every fact the plan declares; one that cannot be answered has no value and says why.

    `read_document` gives the bytes at an `s3://` address, or raises a `BurstError`.
    """
    return [_answer(fact, plan, source, read_document, clock, give_up_at) for fact in plan.facts]


def _answer(
    fact: plans.FactSection,
    plan: plans.Plan,
    source: ports.ReceiptSource,
    read_document: Callable[[str], bytes],
    clock: ports.Clock,
    give_up_at: datetime,
) -> fact_answers.FactEntry:
    value: object = None
    detail = ""
    origin = fact.sql or f"{fact.address(plan.scope)}#{fact.path}"
    try:
        if fact.sql is not None:
            value = source.ask(fact.sql, scope=plan.scope, give_up_at=give_up_at)
        else:
            content = read_document(fact.address(plan.scope))
            value = canonical.scalar_at(canonical.decode(content), str(fact.path))
            detail = f"of a document with sha256 {canonical.digest(content)}"
    except errors.BurstError as exc:
        detail = str(exc)
    if isinstance(value, float) and not math.isfinite(value):
        value, detail = None, f"the query answered {value}, which is no number to compare"
    if isinstance(value, int) and abs(value) > canonical.LARGEST_INTEGER:
        value, detail = None, "the query answered a whole number beyond 2^53, which JSON cannot hold exactly"
    return fact_answers.FactEntry.model_validate(
        {
            "blocker": fact.blocker,
            "name": fact.name,
            "value": value,
            "equals": fact.equals,
            "at_most": fact.at_most,
            "at_least": fact.at_least,
            "source": origin,
            "at_utc": clock.now(),
            "detail": detail or ("the query answered nothing" if value is None else ""),
        }
    )


def input_documents(plan: plans.Plan, baseline: bytes | None, prior: bytes | None) -> tuple[tuple[str, bytes], ...]:
    """The documents a run starts from: the plan as executed, its baseline, and the prior snapshot of a rerun."""
    found = [(document_names.PLAN, canonical.encode(plan.document()))]
    if baseline is not None:
        found.append((document_names.BASELINE, baseline))
    if prior is not None:
        found.append((document_names.PRIOR, prior))
    return tuple(found)
