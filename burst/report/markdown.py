"""Markdown of evidence, for the summary of a CI step or a comment: the answer, the open blockers, then every gate.

The words of documents are text and never markup: they cannot make a link, a mention, a row or a picture.
"""

import re
from collections.abc import Iterator, Sequence

from burst.domain.basics import runbooks, wording
from burst.domain.verdict import differences, rollup_snapshots, snapshot_sections, snapshots
from burst.report import figures, outcomes

_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~@])")
_MENTIONED = "\u200b"
"""A space without width: behind an @, a # or a colon it keeps a forge from making a mention or a link."""

_Shown = snapshots.Snapshot | rollup_snapshots.RollupSnapshot


def render(outcome: outcomes.EvidenceOutcome) -> str:
    """The Markdown of one run's outcome, with a newline at its end."""
    return "\n".join(_lines(outcome)) + "\n"


def _lines(outcome: outcomes.EvidenceOutcome) -> Iterator[str]:
    snapshot = outcome.snapshot
    if snapshot is None:
        yield f"### burst: no verdict can be relied on ({_plain(outcome.state)})"
        yield ""
        yield f"{_plain(outcome.why)}"
        yield ""
        yield f"Exit code {outcome.exit_code}: `{runbooks.page_command(runbooks.PageKind.EXIT, outcome.exit_code)}`"
        return
    word = figures.word(snapshot) if isinstance(snapshot, snapshots.Snapshot) else snapshot.verdict
    yield f"### burst: {_plain(word)}, phase {_plain(snapshot.phase)}"
    yield ""
    yield f"Run {_plain(snapshot.execution_id)}. {_plain(snapshot.exit_reason)}"
    yield ""
    yield from _list_open(snapshot)
    yield from _tell_change(outcome)
    yield from _table_gates(snapshot.gates)


def _list_open(snapshot: _Shown) -> Iterator[str]:
    if not snapshot.open_entries:
        return
    yield f"{wording.format_count(len(snapshot.open_entries), 'blocker')} open:"
    yield ""
    for entry in snapshot.open_entries:
        page = runbooks.page_command(runbooks.PageKind.BLOCKER, entry.blocker, phase_kind=snapshot.kind)
        yield f"- **{_plain(entry.blocker)}** {_plain(entry.title)}: {_plain(entry.why)} (`{page}`)"
    yield ""


def _tell_change(outcome: outcomes.EvidenceOutcome) -> Iterator[str]:
    if outcome.uncompared is not None:
        yield f"Not compared: {_plain(outcome.uncompared)}"
        yield ""
    if outcome.change is not None:
        yield from _tell_difference(outcome.change)


def _tell_difference(change: differences.Difference) -> Iterator[str]:
    regressions = change.list_regressions()
    words = f"Regressed: {', '.join(regressions)}" if regressions else "Nothing regressed"
    yield f"{_plain(words)} (since {_plain(change.before)})"
    yield ""


def _table_gates(gates: Sequence[snapshot_sections.GateEntry]) -> Iterator[str]:
    """Gates that do not pass stand open, and the others are folded."""
    failed = [gate for gate in gates if gate.status != "PASS"]
    passed = [gate for gate in gates if gate.status == "PASS"]
    if failed:
        yield from _table(failed)
        yield ""
    if passed:
        yield f"<details><summary>{wording.format_count(len(passed), 'gate')} passed</summary>"
        yield ""
        yield from _table(passed)
        yield ""
        yield "</details>"


def _table(gates: Sequence[snapshot_sections.GateEntry]) -> Iterator[str]:
    yield "| blocker | gate | answer | measured | required |"
    yield "|---|---|---|---|---|"
    for gate in gates:
        required = figures.required_value(gate) if gate.required is not None else gate.why
        cells = (gate.blocker, gate.name, gate.status + figures.mode(gate), figures.measured_value(gate), required)
        yield "| " + " | ".join(_plain(cell) for cell in cells) + " |"


def _plain(text: str | None) -> str:
    """A text on one line, which no reader of Markdown takes for markup, HTML, a mention or a link."""
    line = "".join(letter if letter.isprintable() else " " for letter in text or "")
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = _MARKUP.sub(r"\\\1", line)
    return line.replace("@", f"@{_MENTIONED}").replace("://", f":{_MENTIONED}//").replace("www.", f"www{_MENTIONED}.")
