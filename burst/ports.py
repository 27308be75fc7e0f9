"""Ports: the outside world as burst needs it, each as small as can be.

One Protocol per outside thing. Every implementation, fake or real, passes the one contract suite of its port
(`tests/contract`). Adapters raise only errors of `burst.domain.basics.errors`.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from burst.domain.basics import errors, windows
from burst.domain.receipts import receipt_table, receipts
from burst.domain.run import journals
from burst.domain.run.events import base
from burst.domain.tasks import leases, services, tasks


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """What a place answered to a document: its version there, and the request; empty where it has none."""

    version_id: str = ""
    request_id: str = ""


class Clock(Protocol):
    """The only source of time, so a test can tick it by hand."""

    def now(self) -> datetime:
        """The current instant, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits; may return early when the process is asked to end."""
        ...


class Launcher(Protocol):
    """Starts, inspects and stops tasks."""

    @property
    def last_failures(self) -> Sequence[tasks.LaunchFailure]:
        """Why the last launch started fewer tasks than asked; empty when it did not."""
        ...

    def launch(self, request: tasks.LaunchRequest) -> Sequence[tasks.Task]:
        """Starts the shards asked for and returns what runs now, perhaps fewer (see `last_failures`).

        Raises `errors.Unavailable` when it cannot be told what was started; `find` then tells later.
        """
        ...

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        """Every task of this run that the launcher can still see alive, whoever launched it; perhaps ended ones too."""
        ...

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """The present truth about each task given, in the same order. Raises `errors.Unavailable` when blind."""
        ...

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> None:
        """Asks one task to end, or with `force` ends it at once. Asking for a task that is gone is no error."""
        ...


class HardStopLayer(Protocol):
    """One layer of the hard stop of one run: it ends the tasks at the deadline, if everything nearer failed."""

    def arm(self, deadline: datetime) -> str:
        """Makes the layer act at the deadline, and says how it will. Arming again is safe.

        Raises `errors.BurstError` where the layer cannot act.
        """
        ...

    def disarm(self) -> None:
        """Stands down what would fire later, once every task was seen to stop. A layer not armed is no error."""
        ...


class OneShots(Protocol):
    """Starts, finds, judges and stops the one-shot tasks of one run: commands that run to their end."""

    def start(self, shot: tasks.OneShot, deadline: datetime) -> tasks.Task:
        """Starts it, or returns the one that was started under its name before: there are never two.

        It is ended at the deadline, which is the same however often it is asked for. Raises `errors.Unavailable` when
        it cannot be told whether it was started (asking again is safe), and `errors.Refused` or `errors.UsageError`
        when it was not.
        """
        ...

    def find(self, one_shot_id: str) -> Sequence[tasks.Task]:
        """The one of this id (`tasks.one_shot_id`), whoever started it; empty: none that can be seen, or seen yet.

        One that has ended may be missing.
        """
        ...

    def inspect(self, known: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """As `Launcher.inspect`."""
        ...

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> None:
        """As `Launcher.stop`."""
        ...


class Services(Protocol):
    """Services of the system under load: how many of each there are, and how many there should be."""

    def look(self, names: Sequence[str]) -> Sequence[services.Service]:
        """How they stand, in the order asked; one that is not there is left out. Raises `errors.Unavailable`."""
        ...

    def scale(self, wanted: Mapping[str, int]) -> Mapping[str, errors.BurstError]:
        """Sets how many of each there should be; returns what failed by name, so that one never holds up the others.

        It only asks: `look` tells what runs.
        """
        ...


class LeaseStore(Protocol):
    """The lease of one run (`control.json`), and the start barrier."""

    def create(self, first: leases.Lease) -> None:
        """Writes the first control; raises `errors.Conflict` when there is one already."""
        ...

    def read(self) -> leases.Lease | None:
        """The control as it stands, None when there is none. Raises `errors.Unavailable` when it cannot be read."""
        ...

    def write(self, wanted: leases.Lease) -> leases.Lease:
        """Replaces the control and returns what stands now: a STOP or a later state there stays, its beat moves on."""
        ...

    def mark_ready(self, shard_index: int) -> None:
        """A task says it is ready to start."""
        ...

    def ready(self) -> frozenset[int]:
        """The shards that said so."""
        ...


class Counter(Protocol):
    """Counts a running burst in slices: disjoint, closed, in order, each beginning where the last one ended."""

    def poll(self, now: datetime) -> receipts.LiveCount:
        """The next slice, where one is due, and the total so far.

        Raises `errors.BurstError` where it cannot be counted now; nothing is lost then, and the next slice begins at
        the same instant.
        """
        ...


class ReceiptSource(Protocol):
    """Counts receipts where they are written. Read-only; an open one is closed when nothing more is asked.

    Each question raises `errors.Unavailable` after at most 3 attempts, and never goes on past `give_up_at`.
    """

    def open(self, until: datetime) -> None:
        """Begins to prepare for questions up to an instant, and returns at once."""
        ...

    def close(self) -> None:
        """Ends connections or the counting task; closing twice is no error."""
        ...

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        """Counts one half-open window in one statement. A `scope` of None counts every scope."""
        ...

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        """Reads the database clock, bracketed."""
        ...

    def follow(
        self,
        *,
        start: datetime,
        until: datetime,
        scope: str | None,
        settle_seconds: float,
        every_seconds: float,
        patience_seconds: float,
    ) -> Counter:
        """A counter of the burst from `start`, no slice of which ends after `until`.

        It is polled every `every_seconds`, and one poll takes at most `patience_seconds`. A slice is closed once
        receipts had `settle_seconds` to appear.
        """
        ...

    def ask(self, sql: str, *, scope: str, give_up_at: datetime) -> object:
        """The single value of a read-only fact query; `:scope` is bound. Raises `errors.UsageError` when the query is
        wrong or does not answer with exactly one value."""
        ...

    def problems(self, *, give_up_at: datetime) -> Sequence[str]:
        """Every problem of the table and its columns, as sentences; empty when all is as planned."""
        ...

    def server(self, *, give_up_at: datetime) -> receipt_table.DatabaseServer:
        """The version of the database server, and whether it is a standby."""
        ...

    def privileges(self, *, give_up_at: datetime) -> receipt_table.TablePrivileges:
        """The rights to write that the role has on the table."""
        ...

    def sample_times(self, rows: int, *, give_up_at: datetime) -> receipt_table.TimesSample:
        """How the times of at most so many receipts are written; any receipts will do."""
        ...

    def scope_contents(self, scope: str, *, event_column: str, give_up_at: datetime) -> receipt_table.ScopeContents:
        """Everything in a scope. Counting needs no column of event ids, so its name is part of the question."""
        ...

    def find_receipt(
        self, event_id: str, *, scope: str, event_column: str, give_up_at: datetime
    ) -> receipt_table.EventReceipt | None:
        """The receipt of one event; None while there is none that has a decision and a time."""
        ...


class EvidenceStore(Protocol):
    """A place documents are written to once and never again."""

    def put_once(self, name: str, content: bytes) -> None:
        """Writes durably; the same bytes again are a success, other bytes raise `errors.Conflict`."""
        ...

    def read(self, name: str) -> bytes:
        """The bytes of a document. Raises `errors.EvidenceIncomplete` when absent, `errors.EvidenceUnknown` when it
        cannot be read."""
        ...

    def names(self) -> Sequence[str]:
        """The names of all documents there, sorted."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """One document as a place lists it. `tag` changes with its bytes; a removal that names it removes nothing else."""

    name: str
    size: int
    modified_at: datetime
    tag: str


class Runs(Protocol):
    """A place that holds one evidence store for each run."""

    def newest_first(self, group: str | None, now: datetime) -> Iterator[str]:
        """The ids of runs, the newest first, of one group where it is given. What carries no time comes last.

        Raises `errors.EvidenceUnknown` where the place cannot be listed, `errors.EvidenceIncomplete` where it is none.
        """
        ...

    def store(self, execution_id: str) -> EvidenceStore:
        """The documents of one run, whether there is one or not."""
        ...

    def stored(self, execution_id: str) -> Sequence[Stored]:
        """The documents of one run as they are listed. Raises `errors.EvidenceUnknown` where they cannot be."""
        ...

    def remove(self, execution_id: str, document: Stored) -> None:
        """Removes a document as it was listed; one that is gone is a success.

        Raises `errors.Conflict` where it has changed since, `errors.Unavailable` or `errors.Refused` where it stays.
        """
        ...


class Signer(Protocol):
    """A private key that somebody else keeps."""

    @property
    def key_id(self) -> str:
        """The id of the key, as signatures name it."""
        ...

    def sign(self, statement: bytes) -> bytes:
        """The bytes of a DSSE envelope around a statement. Not the same bytes twice: what was signed is kept.

        Raises `errors.Unavailable` where a repeat may help, `errors.Refused` or `errors.UsageError` where it will not.
        """
        ...


class EvidencePlace(EvidenceStore, Protocol):
    """A store that documents are published to, which can say what became of each.

    What `put_once` raises has its `unwritten` set.
    """

    @property
    def place(self) -> str:
        """Where it is, as messages and documents name it."""
        ...

    def stamp(self, name: str) -> Stamp:
        """What the place answered when this object wrote the document, or found it written."""
        ...

    def beneath(self, folder: str) -> "EvidencePlace":
        """The place in a folder under this one."""
        ...


class Journal(Protocol):
    """The run's append-only log: every intent before its act, every fact after, each durable before the next act."""

    def append(self, event: base.Event) -> journals.Entry:
        """Writes one event durably and returns its line."""
        ...

    def entries(self) -> Sequence[journals.Entry]:
        """Every whole line so far; a line that a crash cut in half is passed over."""
        ...

    def prefix(self) -> bytes:
        """The bytes written so far."""
        ...
