"""The answer at the top of a report: the verdict in figures, why, what to do next, and how anybody can check it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burst.domain.basics import runbooks
from burst.domain.documents import load_documents
from burst.domain.verdict import snapshot_sections, snapshots
from burst.report import figures, report_documents


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyFigure:
    """One figure of the answer. `state`: PASS, FAIL, INVALID, or empty where nothing is required of it."""

    name: str
    value: str
    beside: str
    state: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenBlocker:
    """A blocker that is open, the gates that keep it open, and the command that prints its page."""

    entry: snapshot_sections.RegisterEntry
    gates: Sequence[snapshot_sections.GateEntry]
    page: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportAnswer:
    """The answer. `acts` are sentences, each with the command that does it, empty where there is none."""

    word: str
    why: str
    key_figures: Sequence[KeyFigure]
    open_blockers: Sequence[OpenBlocker]
    acts: Sequence[tuple[str, str]]
    check: str
    """The command that checks it."""


def give(documents: report_documents.ReportDocuments) -> ReportAnswer:
    """The answer of a run."""
    snapshot = documents.snapshot
    return ReportAnswer(
        word=figures.word(snapshot),
        why=snapshot.exit_reason,
        key_figures=list(_list_figures(documents)),
        open_blockers=[_tell(snapshot, entry) for entry in snapshot.open_entries],
        acts=list(_list_acts(snapshot)),
        check=f"burst verify {snapshot.execution_id}" if snapshot.execution_id else "burst verify RUN",
    )


def _tell(snapshot: snapshots.Snapshot, entry: snapshot_sections.RegisterEntry) -> OpenBlocker:
    gates = [
        gate
        for gate in snapshot.gates
        if gate.blocker == entry.blocker and gate.status != "PASS" and gate.mode == "required"
    ]
    return OpenBlocker(entry=entry, gates=gates, page=find_page(snapshot, entry.blocker))


def find_page(snapshot: snapshots.Snapshot, blocker: str) -> str:
    """The command that prints the page of a blocker."""
    return runbooks.page_command(runbooks.PageKind.BLOCKER, blocker, phase_kind=snapshot.kind)


def _list_acts(snapshot: snapshots.Snapshot) -> Iterator[tuple[str, str]]:
    act = runbooks.WHAT_TO_DO.get(snapshot.exit_code)
    if act is None:
        yield "Nothing is left to do: cite this run by its id and by the digest of its snapshot.", ""
        return
    yield f"{act[0].upper()}{act[1:]}.", runbooks.page_command(runbooks.PageKind.EXIT, snapshot.exit_code)
    for entry in snapshot.open_entries:
        yield f"{entry.blocker}, {entry.title}: read its page.", find_page(snapshot, entry.blocker)
    if snapshot.hold is not None and snapshot.hold.command:
        yield "Repeat the run once it is mended.", snapshot.hold.command


def _list_figures(documents: report_documents.ReportDocuments) -> Iterator[KeyFigure]:
    snapshot, load = documents.snapshot, documents.load
    gates = {gate.name: gate for gate in snapshot.gates}
    named = (
        *(("achieved_multiplier", "Multiplier"), ("admit_ratio", "Admit ratio"), ("duration_seconds", "Length")),
        ("offered_load", "Offered in time"),
    )
    for name, words in named:
        if name in gates:
            yield _show_gate(gates[name], words)
    counts, admits = snapshot.burst_load_checks.counts, snapshot.burst_load_checks.admits_per_minute
    if admits is not None:
        yield KeyFigure(name="Admits a minute", value=f"{admits:,.1f}", beside="over the counted window")
    if counts is not None:
        other_counts = f"{figures.number(counts.duplicate)} DUPLICATE, {figures.number(counts.quarantine)} QUARANTINE"
        yield KeyFigure(name="ADMIT", value=figures.number(counts.admit), beside=other_counts)
    if load is not None and load.decided_due and "offered_load" not in gates:
        share = f"{100 * load.in_time / load.decided_due:.4g} %"
        beside = f"of {figures.number(load.decided_due)} events that were due"
        yield KeyFigure(name="Offered in time", value=share, beside=beside)
    yield from _list_latency(load)
    early, cost, attempt = snapshot.decision.early_stop, snapshot.cost, snapshot.attempt
    if early is not None:
        saved = f"{figures.number(round(early.seconds_saved, 1))} s"
        yield KeyFigure(name="Saved by early stop", value=saved, beside=f"rule {early.rule}")
    if cost is not None:
        beside = f"at most {figures.usd(cost.at_cap_usd)}"
        yield KeyFigure(name="Cost, estimated", value=figures.usd(cost.estimated_usd), beside=beside)
    if attempt is not None:
        earlier = figures.attempt(attempt).partition(" ")[2].strip("()") or "the first of its phase"
        yield KeyFigure(name="Attempt", value=figures.number(attempt.number), beside=earlier)


def _show_gate(gate: snapshot_sections.GateEntry, words: str) -> KeyFigure:
    value = gate.measured
    short = f"{value:,.4g}" if isinstance(value, float) and not value.is_integer() else figures.number(value)
    # A value that is rounded to its limit would read as one that reaches it.
    honest = gate.status == "PASS" or gate.required is None or short != figures.number(gate.required)
    figure = short if honest else figures.measured_value(gate)
    unit = f" {gate.unit}" if gate.unit and honest and value is not None else ""
    required = figures.required_value(gate)
    if gate.unit:
        required = f"{required.removesuffix(f' {gate.unit}')}\N{NO-BREAK SPACE}{gate.unit}"
    beside = f"required {required}" if gate.required is not None else gate.why
    return KeyFigure(name=words, value=f"{figure}{unit}", beside=beside, state=gate.status)


def _list_latency(load: load_documents.Load | None) -> Iterator[KeyFigure]:
    if load is None:
        return
    p95 = load_documents.find_percentile_ms(load.latency, 95, answered=load.answered)
    if p95 is not None:
        p99 = load_documents.find_percentile_ms(load.latency, 99, answered=load.answered)
        slowest = f"p99 {round(p99, 1):,} ms" if p99 is not None else "p99 not known"
        beside = f"{slowest}, {figures.number(load.answered)} answers"
        yield KeyFigure(name="Latency p95", value=f"{figures.number(round(p95, 1))} ms", beside=beside)
