"""Markdown of evidence, for the summary of a CI step or a comment: the answer, the open blockers, then every gate.

The words of documents are text and never markup: they cannot make a link, a mention, a row or a picture. A comment of
GitHub holds 65,536 characters, and a summary that is too long is not shown at all: so long words are cut, and gates
that find no room are counted.
"""

import re
from collections.abc import Iterator, Sequence

from burst.domain.basics import runbooks, wording
from burst.domain.verdict import differences, rollup_snapshots, snapshot_sections, snapshots
from burst.report import figures, outcomes

LONGEST = 60_000
_LONGEST_CELL, _LONGEST_REASON, _MOST_OPEN = 200, 1000, 20
_MARKUP = re.compile(r"([\\`*_{}\[\]()#+!|~@$])")
_MENTIONED = "\u200b"
"""A space without width: behind a sign it keeps a forge from making a mention, a reference or a link. A backslash does
not: forges look for those in the page that the Markdown became."""
_REFERENCE = re.compile(r"[@#!~%$](?=[\w\"-])|\b(?:GH|www|mailto)(?=[-.:])|:(?=//)", re.IGNORECASE)

_Shown = snapshots.Snapshot | rollup_snapshots.RollupSnapshot


def render(outcome: outcomes.EvidenceOutcome) -> str:
    """The Markdown of one run's outcome, with a newline at its end."""
    lines = list(_head(outcome))
    if outcome.snapshot is not None:
        room = LONGEST - sum(len(line) + 1 for line in lines)
        lines += _table_gates(outcome.snapshot.gates, room)
    return "\n".join(lines) + "\n"


def _head(outcome: outcomes.EvidenceOutcome) -> Iterator[str]:
    snapshot = outcome.snapshot
    if snapshot is None:
        yield f"### burst: no verdict can be relied on ({_plain(outcome.state)})"
        yield ""
        yield f"Why: {_reason(outcome.why)}"
        yield ""
        yield f"Exit code {outcome.exit_code}: `{runbooks.page_command(runbooks.PageKind.EXIT, outcome.exit_code)}`"
        return
    word = figures.word(snapshot) if isinstance(snapshot, snapshots.Snapshot) else snapshot.verdict
    yield f"### burst: {_plain(word)}, phase {_plain(snapshot.phase)}"
    yield ""
    yield f"Run {_plain(snapshot.execution_id)}. {_reason(snapshot.exit_reason)}"
    yield ""
    yield from _list_open(snapshot)
    yield from _tell_change(outcome)


def _list_open(snapshot: _Shown) -> Iterator[str]:
    if not snapshot.open_entries:
        return
    yield f"{wording.format_count(len(snapshot.open_entries), 'blocker')} open:"
    yield ""
    for entry in snapshot.open_entries[:_MOST_OPEN]:
        page = runbooks.page_command(runbooks.PageKind.BLOCKER, entry.blocker, phase_kind=snapshot.kind)
        yield f"- **{_plain(entry.blocker)}** {_plain(entry.title)}: {_reason(entry.why)} (`{page}`)"
    if len(snapshot.open_entries) > _MOST_OPEN:
        yield f"- and {len(snapshot.open_entries) - _MOST_OPEN} more"
    yield ""


def _tell_change(outcome: outcomes.EvidenceOutcome) -> Iterator[str]:
    if outcome.uncompared is not None:
        yield f"Not compared: {_reason(outcome.uncompared)}"
        yield ""
    if outcome.change is not None:
        yield from _tell_difference(outcome.change)


def _tell_difference(change: differences.Difference) -> Iterator[str]:
    regressions = change.list_regressions()
    words = f"Regressed: {', '.join(regressions)}" if regressions else "Nothing regressed"
    yield f"{_reason(words)} (since {_plain(change.before)})"
    yield ""


def _table_gates(gates: Sequence[snapshot_sections.GateEntry], room: int) -> Iterator[str]:
    """Gates that do not pass stand open, and the others are folded; no more of them than there is room for."""
    failed = [gate for gate in gates if gate.status != "PASS"]
    passed = [gate for gate in gates if gate.status == "PASS"]
    rows = list(_fit(failed, room))
    if failed:
        yield from (*_TABLE_HEAD, *rows)
        yield from _count_left_out(len(failed) - len(rows))
        yield ""
    room -= sum(len(row) + 1 for row in rows)
    if passed:
        yield f"<details><summary>{wording.format_count(len(passed), 'gate')} passed</summary>"
        yield ""
        rows = list(_fit(passed, room))
        yield from (*_TABLE_HEAD, *rows)
        yield from _count_left_out(len(passed) - len(rows))
        yield ""
        yield "</details>"


_TABLE_HEAD = ("| blocker | gate | answer | measured | required |", "|---|---|---|---|---|")


def _fit(gates: Sequence[snapshot_sections.GateEntry], room: int) -> Iterator[str]:
    """The rows of the first gates, as many as there is room for."""
    for gate in gates:
        required = figures.required_value(gate) if gate.required is not None else gate.why
        cells = (gate.blocker, gate.name, gate.status + figures.mode(gate), figures.measured_value(gate), required)
        row = "| " + " | ".join(_plain(outcomes.cut(cell, _LONGEST_CELL)) for cell in cells) + " |"
        room -= len(row) + 1
        if room < 0:
            return
        yield row


def _count_left_out(count: int) -> Iterator[str]:
    if count:
        yield ""
        yield f"{wording.format_count(count, 'gate')} more: the report and the JUnit XML have all of them."


def _reason(text: str | None) -> str:
    return _plain(outcomes.cut(text or "", _LONGEST_REASON))


def _plain(text: str | None) -> str:
    """A text on one line, which no reader of Markdown takes for markup, HTML, a mention or a link."""
    line = "".join(letter if letter.isprintable() else " " for letter in text or "")
    line = _REFERENCE.sub(rf"\g<0>{_MENTIONED}", line)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKUP.sub(r"\\\1", line)
