"""Timings: the seconds of a run by lane, from its journal; the lanes add up to the whole.

Each span between two lines of the journal belongs to one lane, and the lines say when another one begins:

    arm       from the first line: layers are armed
    before    services are scaled, one-shots run before the launch
    launch    tasks are asked for
    start     tasks start, and get ready
    burst     from GO on
    stop      from the first intent to stop
    after     every task has ended: one-shots after the burst, services put back
    count     receipts are counted, facts asked
    publish   from the intent to publish to the last line
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final, Literal, TypeAlias, get_args

from burst.domain.basics import errors, instants
from burst.domain.documents import document_names, load_documents
from burst.domain.run import journals, runs
from burst.domain.run.events import ending_events, errand_events, launch_events

PUBLISH: Final = "publish"
LaneName: TypeAlias = Literal["arm", "before", "launch", "start", "burst", "stop", "after", "count"]
"""The lanes that evidence tells of: it holds the journal as far as the verdict was made from it."""
LANES: tuple[str, ...] = (*get_args(LaneName), PUBLISH)
_BEGINNINGS: tuple[tuple[type[object], str], ...] = (
    (errand_events.ServicesIntended, "before"),
    (launch_events.LaunchIntended, "launch"),
    (launch_events.LaunchAnswered, "start"),
    (launch_events.TasksLaunched, "start"),
    (launch_events.TasksFound, "start"),
    (launch_events.GoGiven, "burst"),
    (ending_events.StopIntended, "stop"),
    (errand_events.ServicesRestoring, "after"),
    (ending_events.MeasureIntended, "count"),
    (ending_events.PublishIntended, PUBLISH),
)
"""Which lane an event begins. A lane never follows a later one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLane:
    """One lane: its seconds, and their share of the whole from 0 to 1."""

    name: str
    seconds: float
    share: float

    @property
    def percent(self) -> float:
        """The share in percent, with two decimals."""
        return float(round(Fraction(self.share) * 100, 2))


@dataclass(frozen=True, slots=True, kw_only=True)
class LaneTable:
    """Every lane of a run, in order of time, and the whole."""

    lanes: tuple[TimeLane, ...]
    seconds: float

    @property
    def dominant(self) -> TimeLane | None:
        """The lane with the most seconds; None where the whole took no time."""
        longest = max(self.lanes, key=lambda lane: lane.seconds, default=None)
        return longest if longest is not None and longest.seconds > 0 else None

    def find_seconds(self, name: str) -> float | None:
        """The seconds of a lane; None where the run had none of that name."""
        return next((lane.seconds for lane in self.lanes if lane.name == name), None)


def make_table(seconds: Mapping[str, float]) -> LaneTable:
    """The table of lanes with these seconds."""
    exact = {name: Fraction(str(value)) for name, value in seconds.items()}
    whole = sum(exact.values(), Fraction())
    lanes = [
        TimeLane(name=name, seconds=float(value), share=float(value / whole) if whole else 0.0)
        for name, value in exact.items()
    ]
    return LaneTable(lanes=tuple(lanes), seconds=float(whole))


def list_marker_lanes(load: load_documents.Load, whole_seconds: float) -> tuple[TimeLane, ...]:
    """The markers of the load account as lanes, by the clocks of the tasks: each from when it was first reached to the
    next one, the last to the end of the accounts. Their shares are of the whole run; they lie within its lanes."""
    ends = [task.last_utc for task in load.tasks]
    marks = sorted((at, name) for name, at in load.marked_utc.items())
    if not marks or not ends:
        return ()
    bounds = [at for at, _ in marks[1:]] + [max(marks[-1][0], *ends)]
    lanes = []
    for (begun, name), end in zip(marks, bounds, strict=True):
        seconds = _count_microseconds(instants.seconds_between(begun, end)) / 1e6
        lanes.append(TimeLane(name=name, seconds=seconds, share=seconds / whole_seconds if whole_seconds else 0.0))
    return tuple(lanes)


def measure_lanes(journal: bytes) -> LaneTable:
    """The lanes of a run by its journal.

    Raises as `journals.parse`, and `errors.EvidenceUnknown` where its instants go back: nobody can tell the lanes then.
    """
    entries = journals.parse(journal, document_names.JOURNAL)
    if not entries:
        raise errors.EvidenceIncomplete(f"{document_names.JOURNAL} has no line")
    microseconds: dict[str, int] = {}
    for name, entry, following in zip(_list_lanes(entries), entries, entries[1:], strict=False):
        span = _count_microseconds(instants.seconds_between(entry.at, following.at))
        if span < 0:
            raise errors.EvidenceUnknown(
                f"{document_names.JOURNAL}: event {following.sequence} is {-span / 1e6} s earlier than the one before; "
                "the clock went back, so nobody can tell the lanes"
            )
        microseconds[name] = microseconds.get(name, 0) + span
    spent = {name: microseconds[name] / 1e6 for name in LANES if name in microseconds}
    return make_table(spent)


def _list_lanes(entries: Sequence[journals.Entry]) -> Sequence[str]:
    """The lane of the span that begins with each line."""
    names, run, position = [], runs.Run(), 0
    for entry in entries:
        run = journals.fold([entry], run)
        position = max(position, LANES.index(_find_beginning(entry, run, LANES[position])))
        names.append(LANES[position])
    return names


def _find_beginning(entry: journals.Entry, run: runs.Run, current: str) -> str:
    if isinstance(entry.event, errand_events.OneShotIntended):
        return "before" if run.launching_at is None else current
    begun = next((lane for kind, lane in _BEGINNINGS if isinstance(entry.event, kind)), current)
    if begun in ("launch", "start") and run.go_at is not None:
        return current
    return "after" if begun == "stop" and run.stopped else begun


def _count_microseconds(seconds: float) -> int:
    return round(seconds * 1_000_000)
