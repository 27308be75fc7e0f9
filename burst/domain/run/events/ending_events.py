"""Events of a run's end: its tasks are stopped, its receipts measured, its verdict published."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import ClassVar

from burst.domain.documents import task_results
from burst.domain.receipts import receipts
from burst.domain.run import runs
from burst.domain.run.events import base


@dataclass(frozen=True, slots=True, kw_only=True)
class StopIntended(base.Event):
    """STOP is about to be written into the lease, or with `force` every task that still runs to be killed."""

    wire_name: ClassVar[str] = "stop-intended"

    reason: str
    """The word for why the run stops, such as `window-complete` or `deadline`; a detail may follow a colon."""
    force: bool
    """Whether the tasks that still run are killed, and not asked to end."""
    early_stop: task_results.EarlyStop | None
    """The rule that ended the burst before its window was complete; None where none did."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The run is stopping; `force` keeps when and why it began to, and says since when tasks are killed."""
        stopping = runs.Stopping(at=at, reason=self.reason, ready=run.ready_count)
        if self.force:
            return replace(run, stopping=replace(run.stopping or stopping, forced_at=at))
        return replace(run, stopping=stopping, early_stop=self.early_stop)


@dataclass(frozen=True, slots=True, kw_only=True)
class StopEachIntended(base.Event):
    """Each task that still runs is about to be stopped by a call of its own."""

    wire_name: ClassVar[str] = "stop-each-intended"

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The tasks had their time to obey the lease. Raises ValueError where the run is not stopping."""
        if run.stopping is None:
            raise ValueError("tasks are stopped one by one in a run that is not stopping")
        return replace(run, stopping=replace(run.stopping, each_at=at))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopSent(base.Event):
    """A task was told to stop by a call."""

    wire_name: ClassVar[str] = "stop-sent"

    task_id: str
    """The task, by the id that its launcher gave it."""
    force: bool
    """Whether it was killed, and not asked to end."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The call was taken."""
        if run.stopping is None:
            return run
        return replace(run, stopping=replace(run.stopping, unsent=run.stopping.unsent - {self.task_id}))


@dataclass(frozen=True, slots=True, kw_only=True)
class StopUnsent(base.Event):
    """A task could not be told to stop."""

    wire_name: ClassVar[str] = "stop-unsent"

    task_id: str
    """The task, by the id that its launcher gave it."""
    why: str
    """The error of the call."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """It is tried again; before the run stops, such a task is not withdrawn."""
        if run.stopping is not None:
            return replace(run, stopping=replace(run.stopping, unsent=run.stopping.unsent | {self.task_id}))
        return replace(run, withdrawn={name: why for name, why in run.withdrawn.items() if name != self.task_id})


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureIntended(base.Event):
    """The receipts of the attempt window are about to be counted. `window` None: there is nothing to count."""

    wire_name: ClassVar[str] = "measure-intended"

    window: str | None
    """The half-open window that is to be counted, as `[START, END)`; None where there is nothing to count."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DisarmFailed(base.Event):
    """A layer that would fire later could not be stood down."""

    wire_name: ClassVar[str] = "disarm-failed"

    why: str
    """The error of the layer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured(base.Event):
    """The receipts of the attempt window are counted. `settled`: two rounds agreed."""

    wire_name: ClassVar[str] = "measured"

    counts: receipts.Counts
    """The receipts of the counted window by decision."""
    rounds: int
    """How often they were counted."""
    settled: bool
    """Whether the last two counts agree, and no writer of that time is open."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """These counts replace the live ones."""
        return replace(run, measured=True, settled_counts=self.counts)


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasureFailed(base.Event):
    """The receipts of the attempt window could not be counted."""

    wire_name: ClassVar[str] = "measure-failed"

    why: str
    """Why they could not be counted."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The reason is kept; the verdict is made without a count."""
        return replace(run, measured=True, count_problem=self.why)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentIntended(base.Event):
    """A document is about to be written into the run's folder."""

    wire_name: ClassVar[str] = "document-intended"

    name: str
    """The file name of the document."""
    sha256: str
    """SHA-256 of the bytes that are to be written."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentWritten(base.Event):
    """A document stands in the run's folder."""

    wire_name: ClassVar[str] = "document-written"

    name: str
    """The file name of the document."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublicationCommitted(base.Event):
    """The snapshot stands in every place; the receipt of the publication is about to be written."""

    wire_name: ClassVar[str] = "publication-committed"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishIntended(base.Event):
    """Task result, report and snapshot are about to be made and published."""

    wire_name: ClassVar[str] = "publish-intended"


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishFailed(base.Event):
    """A document could not be published; `burst resume` tries again."""

    wire_name: ClassVar[str] = "publish-failed"

    why: str
    """Which document could not be published, and what the place answered."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Published(base.Event):
    """Every document stands in every place, the snapshot last. `sha256` is the snapshot's."""

    wire_name: ClassVar[str] = "published"

    sha256: str
    """SHA-256 of the snapshot's bytes."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The run counts as published."""
        return replace(run, published=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class RunFinished(base.Event):
    """The last line: nothing is left to do."""

    wire_name: ClassVar[str] = "run-finished"

    exit_code: int
    """The exit code that the run ends with."""
    why: str
    """The same in words."""

    def apply(self, run: runs.Run, at: datetime) -> runs.Run:
        """The run has its exit code."""
        return replace(run, exit_code=self.exit_code)
