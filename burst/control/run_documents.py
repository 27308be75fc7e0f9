"""Run documents: freezes the documents of a run, each once, and publishes them, the snapshot last.

A document that stands in the store is frozen: a controller that continues reads it and never makes it again, so the
snapshot always speaks of the bytes that are there.
"""

import contextlib
from collections.abc import Callable, Mapping, Sequence

from burst import ports
from burst.control import facts, keeping, load_accounts, publication, recorder
from burst.domain.basics import canonical, errors, redaction
from burst.domain.documents import (
    document_names,
    driver_entries,
    fact_answers,
    holding,
    load_documents,
    models,
    reproduction_vectors,
    run_records,
    task_results,
    window_metrics,
)
from burst.domain.plan import plans
from burst.domain.run import journals, observations_builder, runs, task_result_builder
from burst.domain.run.events import ending_events
from burst.domain.verdict import attestations, cases, snapshots, unpublished
from burst.kit import measure
from burst.load import kept_files, load_account

Render = Callable[[snapshots.Verdict, Mapping[str, bytes]], bytes]
"""Renders the report from a verdict and every document that its snapshot names; the same input gives the same bytes."""


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
        """Whether the document is frozen. Raises `errors.PublicationFailed` when the folder cannot be listed."""
        return name in self._names()

    def _names(self) -> Sequence[str]:
        try:
            return self._store.names()
        except errors.BurstError as exc:
            raise errors.PublicationFailed(f"the run folder cannot be listed: {exc}") from exc

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

    def freeze_metrics(
        self,
        measured: measure.Measurement,
        live: window_metrics.LiveEntry | None,
        *,
        driver: driver_entries.DriverEntry,
        duplicates: window_metrics.DuplicatesEntry,
        drills: Sequence[window_metrics.DrillWindowsEntry] = (),
    ) -> None:
        """Freezes the counts of the attempt window, what the live counts had found, and what is known beside them."""
        name = document_names.metrics_name(self._plan.slug)
        if not self.has(name):
            document = window_metrics.Metrics.from_count(
                measured.count,
                execution_id=self._record.run.execution_id,
                scope=self._plan.scope,
                bucket_seconds=self._plan.receipts.bucket,
                rounds=[
                    window_metrics.SettleRound(
                        counted_utc=counted.counted_at, counts=window_metrics.CountsEntry.from_counts(counted.counts)
                    )
                    for counted in measured.rounds
                ],
                settled=measured.settled,
            )
            writers = [window_metrics.WriterEntry.from_writer(writer) for writer in measured.open_writers]
            tasks, counts = self._record.run.go_tasks or self._plan.target.tasks, measured.count.counts
            beside = {
                "open_writers": writers,
                "settle_problem": measured.problem,
                "live": live,
                "driver": driver,
                "deliveries": window_metrics.DeliveriesEntry.from_load(self._read_load(), tasks, counts),
                "duplicates": duplicates,
                "drills": list(drills),
            }
            document = document.model_copy(update=beside)
            self.freeze(name, redact_document(self._find_load_end(document), self._record.redactor))

    def freeze_facts(self, entries: list[fact_answers.FactEntry], *, driver: driver_entries.DriverEntry) -> None:
        """Freezes the answers to the fact queries."""
        name = document_names.facts_name(self._plan.slug)
        if not self.has(name):
            document = fact_answers.Facts(
                execution_id=self._record.run.execution_id,
                platform_run_id=self._plan.scope,
                facts=[facts.showable(entry, self._record.redactor) for entry in entries],
                driver=driver,
            )
            self.freeze(name, redact_document(document, self._record.redactor))

    def freeze_reproduction(self, ask: Callable[[bytes], reproduction_vectors.Reproduction]) -> None:
        """Freezes the key sets, which `ask` answers from the reference's snapshot; nothing where there is none."""
        name = document_names.reproduction_name(self._plan.slug)
        if not self.has(name) and self.has(document_names.REFERENCE):
            document = ask(self._read(document_names.REFERENCE))
            self.freeze(name, redact_document(document, self._record.redactor))

    def freeze_load(self, accounts: ports.LoadAccounts) -> None:
        """Freezes the load accounts of all tasks, merged; none where no program wrote one, or nobody can read them."""
        name = document_names.load_name(self._plan.slug)
        if self.has(name) or self.has(document_names.snapshot_name(self._plan.slug, self._plan.kind)):
            return
        try:
            read = accounts.read()
        except errors.Unavailable:
            return  # the gate then rests on the receipts, or fails
        self._freeze_kept(load_accounts.parse(read))
        document = load_accounts.build_document(
            load_accounts.parse(read),
            execution_id=self._record.run.execution_id,
            scope=self._plan.scope,
            find_values=self._plan.load.find_shard_values,
        )
        if document is not None:
            self._record.note(load_accounts.summarize(document))
            self.freeze(name, redact_document(document, self._record.redactor))

    def _freeze_kept(self, accounts: Mapping[int, load_account.LoadAccount]) -> None:
        """Freezes what Locust wrote at its end, where the plan keeps it."""
        name, load = document_names.locust_files_name(self._plan.slug), self._plan.load
        if load.keep is None or not accounts or self.has(name):
            return
        document = keeping.build_document(
            accounts,
            kept_files.list_names(tuple(load.keep), load.processes_per_task),
            self._record.redactor,
            execution_id=self._record.run.execution_id,
            scope=self._plan.scope,
        )
        self.freeze(name, document.content())

    def publish(
        self, *, layers: list[task_results.LayerEntry], worst_end_seconds: Mapping[str, float] | None = None
    ) -> snapshots.Verdict:
        """Freezes the task result, adjudicates from the frozen bytes, and commits by writing the snapshot.

        The snapshot is frozen here only once every place holds every document it names. A verdict that was frozen
        before is published as it is. Raises `errors.PublicationFailed`, after `unpublished` documents that say so.
        """
        slug, snapshot = self._plan.slug, document_names.snapshot_name(self._plan.slug, self._plan.kind)
        task_result = document_names.task_result_name(slug)
        if not self.has(task_result):
            prefix = self._record.prefix()[: self._record.run.journal_size]
            document = task_result_builder.build_task_result(self._plan, self._record.run, layers, prefix)
            document = document.model_copy(update={"worst_end_seconds": dict(worst_end_seconds or {})})
            self.freeze(task_result, redact_document(document, self._record.redactor))
            self._freeze_records(self._record.run)
        elif not self.has(snapshot):
            self._freeze_records(self._read_frozen_run())
        frozen = set(self._names())
        contents = {name: self._read(name) for name in document_names.adjudicated_names(slug) if name in frozen}
        verdict = self._verdict(contents, frozen=snapshot in frozen)
        if not self.has(document_names.REPORT):
            self.freeze(document_names.REPORT, self._render(verdict, self._list_named(verdict, contents)))
        self._publish(verdict, contents)
        return verdict

    def _list_named(self, verdict: snapshots.Verdict, contents: Mapping[str, bytes]) -> dict[str, bytes]:
        """Every document that the snapshot names, of the journal the part that it names."""
        named = {**contents, document_names.PLAN: self._read(document_names.PLAN)}
        for ref in verdict.snapshot.evidence_refs:
            if ref.prefix:
                named[ref.name] = self._record.prefix()[: ref.size]
        return named

    def _freeze_records(self, run: runs.Run) -> None:
        """Freezes the records of the guards and the samples, as the journal had them when the task result was."""
        observed = observations_builder.build_observations(self._plan, run)
        if observed is not None and not self.has(document_names.observations_name(self._plan.slug)):
            content = redact_document(observed, self._record.redactor)
            self.freeze(document_names.observations_name(self._plan.slug), content)
        name = document_names.task_records_name(self._plan.slug)
        if not self.has(name):
            document = task_result_builder.build_task_records(self._plan, run)
            self.freeze(name, redact_document(document, self._record.redactor))

    def _read_frozen_run(self) -> runs.Run:
        """The run by the part of the journal that the frozen task result names."""
        content = self._read(document_names.task_result_name(self._plan.slug))
        result = models.read(task_results.TaskResult, content)
        size = result.journal.size if result.journal else None
        return journals.fold(journals.parse(self._record.prefix()[:size], document_names.JOURNAL))

    def _find_load_end(self, counted: window_metrics.Metrics) -> window_metrics.Metrics:
        """The counts with the earliest end of the load, to which the length of the burst is measured."""
        result = task_result_builder.build_task_result(self._plan, self._record.run, [], b"")
        terms = holding.HoldingTerms.from_plan(self._plan)
        offered = holding.OfferedLoad.from_plan(self._plan, result.go_tasks)
        holdings = holding.judge_result(result, terms, self._read_load())
        end = holding.find_load_end_of_burst(holdings, terms, counted, offered)
        return counted.model_copy(update={"load_ended_utc": end.at, "load_end_why": end.why})

    def _read_load(self) -> load_documents.Load | None:
        """The load accounts, where they are frozen."""
        name = document_names.load_name(self._plan.slug)
        return models.read(load_documents.Load, self._read(name)) if self.has(name) else None

    def _verdict(self, contents: Mapping[str, bytes], *, frozen: bool) -> snapshots.Verdict:
        """The verdict of the frozen documents, and where it was frozen too, exactly that."""
        plan_content = self._read(document_names.PLAN)
        if not frozen:
            return snapshots.adjudicate(cases.from_documents(self._plan, plan_content, contents))
        name = document_names.snapshot_name(self._plan.slug, self._plan.kind)
        content = self._read(name)
        try:
            verdict = snapshots.Verdict.read(content)
            again = snapshots.adjudicate_again(verdict.snapshot, self._plan, plan_content, contents)
        except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
            raise errors.PublicationFailed(f"the {name} of this folder is not published: {exc}") from exc
        if not _same_verdict(again, verdict):
            raise errors.PublicationFailed(f"the {name} of this folder is not what its documents give: not published")
        return verdict

    def _publish(self, verdict: snapshots.Verdict, contents: Mapping[str, bytes]) -> None:
        """Signature, documents, snapshot and receipt to where they belong; a failure is written down as far as can be.

        A run without places needs a receipt only where an earlier failure has to be taken back."""
        name = document_names.snapshot_name(self._plan.slug, self._plan.kind)
        try:
            if self._signer is not None:
                self._sign(verdict, self._signer)
            published = self._list_published(contents)
            publication.spread(self._places, published)
            self.freeze(name, verdict.content)
            publication.commit(self._places, name, verdict.content)
        except errors.PublicationFailed as exc:
            self._leave_unpublished(verdict, exc.unwritten)
            raise
        unpublished_here = self.has(document_names.unpublished_name(self._plan.slug, self._plan.kind))
        if (self._places or unpublished_here) and not self.has(document_names.PUBLICATION):
            receipt = run_records.Publication(
                execution_id=self._record.run.execution_id,
                snapshot=name,
                snapshot_sha256=verdict.sha256,
                committed_utc=self._record.note(ending_events.PublicationCommitted()).at,
                places=publication.list_published(self._places, [*published, name]),
            )
            self.freeze(document_names.PUBLICATION, receipt.content())

    def _leave_unpublished(self, verdict: snapshots.Verdict, failed: errors.Unwritten | None) -> None:
        """Writes the successor first, so that no reader finds the frozen verdict alone; then reports to every place."""
        slug, kind, why = self._plan.slug, self._plan.kind, unpublished.why(failed)
        entry = self._record.note(ending_events.PublishFailed(why=why))
        for name, content in (
            (document_names.unpublished_name(slug, kind), unpublished.make_successor(verdict, why).content),
            (document_names.snapshot_name(slug, kind), verdict.content),
        ):
            with contextlib.suppress(errors.BurstError, OSError):  # the first failure's successor may stand already
                self._store.put_once(name, content)
        if failed is None:
            return
        failure = run_records.PublicationFailure(
            publication_id=f"{self._record.run.execution_id}-{entry.sequence}",
            execution_id=self._record.run.execution_id,
            platform_run_id=self._plan.scope,
            snapshot_sha256=verdict.sha256,
            at_utc=entry.at,
            place=failed.place,
            key=failed.name,
            code=failed.code,
            http_status=failed.http_status,
            request_id=failed.request_id,
            attempts=failed.attempts,
        )
        publication.report(self._places, failure)

    def _list_published(self, adjudicated: Mapping[str, bytes]) -> dict[str, bytes]:
        """The documents for every place, and the journal as the task result names it.

        The journal goes first, so that a reader who finds a task result finds the journal it speaks of.
        """
        result = models.read(task_results.TaskResult, adjudicated[document_names.task_result_name(self._plan.slug)])
        journal = self._record.prefix()[: result.journal.size] if result.journal else b""
        signature = document_names.signature_name(self._plan.slug, self._plan.kind)
        return {
            document_names.PLAN: self._read(document_names.PLAN),
            document_names.JOURNAL: journal,
            **adjudicated,
            document_names.REPORT: self._read(document_names.REPORT),
            **({signature: self._read(signature)} if self._signer is not None else {}),
        }

    def _sign(self, verdict: snapshots.Verdict, signer: Callable[[], ports.Signer]) -> None:
        """Freezes a signature over every document and the snapshot to come; a frozen one is never made again.

        No two signatures are the same bytes, so a controller that continues publishes the frozen one, which has to
        speak of the documents that are to be published.
        """
        slug, kind = self._plan.slug, self._plan.kind
        name = document_names.signature_name(slug, kind)
        report = self._read(document_names.REPORT)
        subjects = attestations.subjects(document_names.snapshot_name(slug, kind), verdict, report)
        if not self.has(name):
            self.freeze(name, _make_signature(name, signer, attestations.statement(subjects, verdict.snapshot)))
        try:
            attestations.check(attestations.read(self._read(name)).statement, subjects, verdict.snapshot)
        except errors.EvidenceCorrupt as exc:
            raise errors.PublicationFailed(f"{name} does not speak of what is to be published: {exc}") from exc


def _same_verdict(again: snapshots.Verdict, frozen: snapshots.Verdict) -> bool:
    """Whether the documents give the frozen verdict, to every byte where this version froze it."""
    if again.content == frozen.content:
        return True
    by_another = frozen.snapshot.verifier != cases.VERIFIER
    return by_another and not snapshots.differing_sections(again.snapshot, frozen.snapshot)


def _make_signature(name: str, signer: Callable[[], ports.Signer], statement: bytes) -> bytes:
    try:
        return signer().sign(statement)
    except errors.BurstError as exc:
        failure = errors.PublicationFailed(f"the documents could not be signed: {exc}")
        failure.unwritten = errors.Unwritten(place="the run folder", name=name, code="NotSigned")
        raise failure from exc


def redact_document(document: models.Model, redactor: redaction.Redactor) -> bytes:
    """The canonical bytes of a document, its words cleaned before anything is hashed."""
    return canonical.encode(redactor.fields(document.document()))


def input_documents(
    plan: plans.Plan,
    baseline: bytes | None,
    prior: bytes | None,
    prior_plan: bytes | None = None,
    gate_records: bytes | None = None,
    *,
    reference: bytes | None = None,
    reference_plan: bytes | None = None,
) -> tuple[tuple[str, bytes], ...]:
    """The documents a run starts from: the plan as executed, its baseline, prior snapshot and plan of a rerun, the
    promotions and demotions that the plan names, and snapshot and plan of the run that it reproduces."""
    documents = {
        document_names.PLAN: canonical.encode(plan.document()),
        document_names.BASELINE: baseline,
        document_names.PRIOR: prior,
        document_names.PRIOR_PLAN: prior_plan,
        document_names.GATE_RECORDS: gate_records,
        document_names.REFERENCE: reference,
        document_names.REFERENCE_PLAN: reference_plan,
    }
    return tuple((name, content) for name, content in documents.items() if content is not None)
