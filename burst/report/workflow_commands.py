"""Annotations of GitHub: one workflow command a line, `::error file=F,line=1,title=T::message`.

Each open blocker, and evidence that does not hold, is an error; a gate that is only informational is a warning where it
says no; a PASS is a notice. What documents say begins no command: line ends are escaped, as the runner reads them.
"""

from collections.abc import Iterator

from burst.domain.documents import document_names
from burst.domain.verdict import snapshots
from burst.report import figures, outcomes


def render(outcome: outcomes.EvidenceOutcome) -> str:
    """The commands of one run's outcome, a line each."""
    return "".join(f"{line}\n" for line in _lines(outcome))


def _lines(outcome: outcomes.EvidenceOutcome) -> Iterator[str]:
    document, snapshot = outcome.document or document_names.PLAN, outcome.snapshot
    if snapshot is None:
        yield _command("error", document, f"burst: evidence {outcome.state}", outcome.why)
        return
    for entry in snapshot.open_entries:
        yield _command("error", document, f"{entry.blocker} {entry.title}", entry.why)
    for gate in snapshot.gates:
        if gate.mode == "informational" and gate.status != "PASS":
            yield _command("warning", document, f"{gate.blocker} {gate.name} (informational)", figures.answer(gate))
    if outcome.uncompared is not None:
        yield _command("error", document, "burst: not compared", outcome.uncompared)
    if outcome.change is not None and outcome.change.regressed:
        words = ", ".join(outcome.change.list_regressions())
        yield _command("error", document, f"regressed since {outcome.change.before}", words)
    if snapshot.overall_pass:
        word = figures.word(snapshot) if isinstance(snapshot, snapshots.Snapshot) else snapshot.verdict
        yield _command("notice", document, f"burst: {word}", f"{snapshot.phase}, run {snapshot.execution_id}")


def _command(level: str, file: str, title: str, message: str) -> str:
    return f"::{level} file={_escape_property(file)},line=1,title={_escape_property(title)}::{_escape_message(message)}"


def _escape_message(text: str) -> str:
    """As the runner undoes it; no other control character reaches a terminal or a log."""
    shown = "".join(letter if letter.isprintable() or letter in "\r\n" else "?" for letter in text)
    return shown.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")
