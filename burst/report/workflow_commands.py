"""Annotations of GitHub: one workflow command a line, `::error file=F,line=1,title=T::message`.

Each open blocker, and evidence that does not hold, is an error; a gate that is only informational is a warning where it
says no; a PASS is a notice. What documents say begins no command: line ends are escaped, as the runner reads them.

GitHub shows the first ten annotations of a level in a step, and leaves out the others without a word. So what is worst
comes first, and where there are more than ten the first one counts them.
"""

import collections
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from burst.domain.documents import document_names
from burst.domain.verdict import snapshots
from burst.report import figures, outcomes

MOST_SHOWN = 10
"""The annotations of one level that GitHub shows of a step."""
_LONGEST_TITLE, _LONGEST_MESSAGE = 200, 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class _Annotation:
    level: str
    title: str
    message: str


def render(outcome: outcomes.EvidenceOutcome) -> str:
    """The commands of one run's outcome, a line each."""
    document = outcome.document or document_names.PLAN
    return "".join(f"{_command(document, each)}\n" for each in _count_first(list(_annotations(outcome))))


def _annotations(outcome: outcomes.EvidenceOutcome) -> Iterator[_Annotation]:
    snapshot = outcome.snapshot
    if snapshot is None:
        yield _Annotation(level="error", title=f"burst: evidence {outcome.state}", message=outcome.why)
        return
    if outcome.uncompared is not None:
        yield _Annotation(level="error", title="burst: not compared", message=outcome.uncompared)
    if outcome.change is not None and outcome.change.regressed:
        words = ", ".join(outcome.change.list_regressions())
        yield _Annotation(level="error", title=f"regressed since {outcome.change.before}", message=words)
    for entry in snapshot.open_entries:
        yield _Annotation(level="error", title=f"{entry.blocker} {entry.title}", message=entry.why)
    for gate in snapshot.gates:
        if gate.mode == "informational" and gate.status != "PASS":
            title = f"{gate.blocker} {gate.name} (informational)"
            yield _Annotation(level="warning", title=title, message=figures.answer(gate))
    if snapshot.overall_pass:
        word = figures.word(snapshot) if isinstance(snapshot, snapshots.Snapshot) else snapshot.verdict
        message = f"{snapshot.phase}, run {snapshot.execution_id}"
        yield _Annotation(level="notice", title=f"burst: {word}", message=message)


def _count_first(annotations: Sequence[_Annotation]) -> Iterator[_Annotation]:
    """The annotations, and before those of a level that are too many one that counts them."""
    for level, count in collections.Counter(each.level for each in annotations).items():
        if count > MOST_SHOWN:
            message = f"{count} annotations; GitHub shows {MOST_SHOWN} of a step, the log of the step has all"
            yield _Annotation(level=level, title=f"burst: {count} of level {level}", message=message)
    yield from annotations


def _command(file: str, annotation: _Annotation) -> str:
    title = _escape_property(outcomes.cut(annotation.title, _LONGEST_TITLE))
    message = _escape_message(outcomes.cut(annotation.message, _LONGEST_MESSAGE))
    return f"::{annotation.level} file={_escape_property(file)},line=1,title={title}::{message}"


def _escape_message(text: str) -> str:
    """As the runner undoes it; no other control character reaches a terminal or a log."""
    printable = "".join(letter if letter.isprintable() or letter in "\r\n" else "?" for letter in text)
    return printable.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escape_property(text: str) -> str:
    return _escape_message(text).replace(":", "%3A").replace(",", "%2C")
