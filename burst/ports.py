"""Ports: the outside world as burst needs it, a Protocol for each part of it, each as small as can be.

Each port has one contract suite (`tests/contract`, a file named for the port), which its fakes and its real adapters
pass. Adapters raise only errors of `burst.domain.basics.errors`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from burst.domain.tasks import tasks

if TYPE_CHECKING:
    from burst.domain.basics import errors, windows
    from burst.domain.course import course_journals
    from burst.domain.documents import database_checks, database_snapshots, halts
    from burst.domain.observations import answers
    from burst.domain.receipts import count_costs, driver_figures, duplicates, receipt_table, receipts
    from burst.domain.run import journals
    from burst.domain.run.events import base
    from burst.domain.staging import changes, stage_files, stagings
    from burst.domain.tasks import leases, masters, services, stop_signs
    from burst.domain.verdict import run_messages

E = TypeVar("E", bound="course_journals.CourseEvent[Any]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stamp:
    """A place's answer to a document: the version it has there, and the request; empty where there is none."""

    version_id: str = ""
    request_id: str = ""


class Clock(Protocol):
    """The time of every decision, so that a test can move it by hand."""

    def now(self) -> datetime:
        """The current instant, UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Waits, and returns early when the process is asked to end. Less than nothing is no wait."""
        ...


GoesOn = Callable[[Sequence[tasks.Task]], bool]
"""Gets the tasks that a launch under way has started since the last call, and says whether to start more."""


def go_on(_: Sequence[tasks.Task]) -> bool:
    """For a launch that nobody follows."""
    return True


class Launcher(Protocol):
    """Starts, inspects and stops tasks."""

    @property
    def last_failures(self) -> Sequence[tasks.LaunchFailure]:
        """Why the last launch started fewer tasks than asked; empty when it did not."""
        ...

    def launch(self, request: tasks.LaunchRequest, goes_on: GoesOn = go_on) -> Sequence[tasks.Task]:
        """Starts the shards asked for and returns the tasks that run now, perhaps fewer (see `last_failures`).

        A launch that takes several calls follows `goes_on` between them, in the caller's own thread.
        Raises `errors.Unavailable` where the answer is lost; `find` shows later which tasks were started. Any other
        error is an answer: nothing was started.
        """
        ...

    def find(self, execution_id: str) -> Sequence[tasks.Task]:
        """Every task of this run that is seen alive, by any controller's launch; perhaps ended ones too."""
        ...

    def inspect(self, launched: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """The present truth about each task, in the same order. Raises `errors.Unavailable` when blind."""
        ...

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        """Asks one task to end, or with `force` ends it at once; several threads may stop tasks at a time.

        False where nothing was asked, because the task is gone or ends already: that is no error.
        """
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
    """Starts, finds, inspects and stops the one-shot tasks of one run: commands that run to their end."""

    def start(self, shot: tasks.OneShot, deadline: datetime) -> tasks.Task:
        """Starts the one-shot, or returns the task that was started under its name before: there are never two.

        It is ended at the deadline of the first start. Raises `errors.Unavailable` where the answer is lost (starting
        again is safe), and `errors.Refused` or `errors.UsageError` where it was not started.
        """
        ...

    def find(self, one_shot_id: str) -> Sequence[tasks.Task]:
        """The task of this id (`tasks.one_shot_id`), from any controller's start; empty where none is seen yet.

        A task that has ended may be missing.
        """
        ...

    def inspect(self, launched: Sequence[tasks.Task]) -> Sequence[tasks.TaskTruth]:
        """As `Launcher.inspect`."""
        ...

    def stop(self, task: tasks.Task, *, by: tasks.Layer, force: bool = False) -> bool:
        """As `Launcher.stop`."""
        ...


class Services(Protocol):
    """Services of the system under load: the running and the desired tasks of each."""

    def look(self, names: Sequence[str]) -> Sequence[services.Service]:
        """The services in the order of their names; an absent one is left out. Raises `errors.Unavailable`."""
        ...

    def scale(
        self, desired: Mapping[str, int], definitions: Mapping[str, str] | None = None
    ) -> Mapping[str, errors.BurstError]:
        """Sets desired counts, each with the task definition that is given for its service, and returns the failures by
        name, so that one service never holds up the others.

        Tasks start and stop later: `look` shows them.
        """
        ...

    def derive_definition(self, base: str, *, container: str | None, environment: Mapping[str, str]) -> str:
        """The ARN of a task definition like `base`, with these variables in the environment of one container; without
        variables that of `base` itself. A new revision is registered where there are some; no value is ever logged.

        Raises `errors.Unavailable` where it cannot be told, `errors.Refused` or `errors.UsageError` where there is no
        such definition or container.
        """
        ...

    def look_at_rollout(self, name: str) -> services.Rollout:
        """The newest deployment of one service, and its running tasks.

        Raises `errors.Refused` where there is no such service, `errors.Unavailable` where it cannot be seen.
        """
        ...

    def restart(self, name: str) -> str | None:
        """Replaces every task of a service by new ones; returns the id of the deployment that does.

        A second call replaces them again. Raises `errors.Unavailable` where the answer is lost, `errors.Refused` or
        `errors.UsageError` where nothing was begun.
        """
        ...


class LeaseStore(Protocol):
    """The lease of one run (`control.json`), and the start barrier."""

    def create(self, first: leases.Lease) -> None:
        """Writes the first lease; raises `errors.Conflict` when there is one already."""
        ...

    def read(self) -> leases.Lease | None:
        """The present lease, None when there is none. Raises `errors.Unavailable` when it cannot be read."""
        ...

    def write(self, lease: leases.Lease) -> leases.Lease:
        """Replaces the lease and returns the present one: a STOP or a later state stays, and its beat moves on.

        Raises `errors.ControllerAtWork` where the lease has another owner; a write without an owner keeps it.
        """
        ...

    def claim(self, last_read: leases.Lease, owner: leases.Owner, at: datetime) -> leases.Lease:
        """Gives the lease to `owner` where it is still as it was last read, and returns it: of all claimants one
        succeeds.

        Raises `errors.Conflict` for the others, `errors.Unavailable` where nobody can tell which one succeeded.
        """
        ...

    def mark_ready(self, shard_index: int) -> None:
        """A task says it is ready to start."""
        ...

    def ready(self) -> frozenset[int]:
        """The shards that are marked ready."""
        ...

    def free_shard(self, shard_index: int) -> None:
        """A shard whose task was seen to end is not ready until another task marks it."""
        ...

    def claims(self) -> Mapping[str, int]:
        """The shard of each task that claimed one; empty where tasks get their shards at the launch."""
        ...

    def close_claims(self, count: int) -> None:
        """From here on no task can claim a shard of `count` that is still free."""
        ...

    def tell_master(self, master: masters.MasterAddress) -> None:
        """The task with the master of a distributed burst says where workers find it; a later one replaces it."""
        ...

    def find_master(self) -> masters.MasterAddress | None:
        """Where workers find the master, None as long as no task has said so.

        Raises `errors.Unavailable` when blind.
        """
        ...


class LoadAccounts(Protocol):
    """What the programs of a run's tasks counted of their load."""

    def read(self) -> Mapping[int, bytes]:
        """The account of every shard whose program wrote one, as far as it got: a tally of `burst.load.load_account`.

        Raises `errors.Unavailable` when blind.
        """
        ...


class HaltSwitch(Protocol):
    """The switch of one run control: while its halt stands, no run begins there and every run there stops."""

    @property
    def address(self) -> str:
        """Where the halt stands, as messages name it."""
        ...

    def read(self) -> halts.Halt | None:
        """The halt, None where there is none. Raises `errors.EvidenceUnknown` where nobody can tell: what stands there
        cannot be read, or is no halt that this version knows."""
        ...

    def set_halt(self, halt: halts.Halt) -> halts.Halt:
        """Writes the halt durably where none stands, and returns the one that stands then: this one, or an earlier.

        Raises `errors.EvidenceUnknown` where what stands there is no halt, `errors.Unavailable` where nobody can tell
        whether it was written (writing it again is safe), `errors.Refused` where it may not be written.
        """
        ...

    def lift(self) -> bool:
        """Removes what stands there, halt or not, and says whether there was anything.

        Raises `errors.Conflict` where somebody changes it meanwhile, `errors.Unavailable` or `errors.Refused` where it
        stays.
        """
        ...


class Alarms(Protocol):
    """The alarms of a monitoring service."""

    def look(self, arns: Sequence[str]) -> Mapping[str, stop_signs.Alarm | errors.BurstError]:
        """Each alarm as it stands, or why it cannot be read, by its ARN: one that is absent holds up no other."""
        ...


class Probe(Protocol):
    """One observed series, asked outside of the controller."""

    def ask(self, *, give_up_at: datetime) -> answers.Answer:
        """The value now, with the instant and the scope that it speaks of, as far as it says them.

        Raises `errors.BurstError` where there is no value that can be used, and does not go on long past `give_up_at`.
        """
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
    """Counts receipts where they are written. Read-only; `close` it once nothing more is asked.

    Each question raises `errors.Unavailable` after at most 3 attempts, and never goes on past `give_up_at`.
    """

    def open(self, until: datetime) -> None:
        """Begins to prepare for questions up to an instant, and returns at once."""
        ...

    def close(self) -> None:
        """Ends connections or the counting task; closing twice is no error."""
        ...

    def read_figures(self) -> driver_figures.DriverFigures | None:
        """What the driver of the database did for this source so far, which asks nobody.

        None where nobody can tell: an answer came from a task whose image counts nothing."""
        ...

    def count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> receipts.WindowCount:
        """Counts one half-open window in one statement. A `scope` of None counts every scope."""
        ...

    def classify_duplicates(
        self, window: windows.Window, *, scope: str, event_column: str, give_up_at: datetime
    ) -> duplicates.DuplicateClasses | None:
        """The DUPLICATE receipts of a window by the first ADMIT of their event; None: the table has no such column of
        events. The database takes no longer for it than `duplicates.DATABASE_SECONDS`."""
        ...

    def clock(self, *, give_up_at: datetime) -> receipts.DatabaseClock:
        """Reads the database clock, bracketed."""
        ...

    def open_writers(self, *, give_up_at: datetime) -> receipts.OpenWriters:
        """The transactions that write to the table of receipts, or to a table that its rows come from, and have not
        ended. A count that begins after the answer sees the rows of every writer that is not in it.

        Raises `errors.Refused` where nobody can tell, and `errors.Unavailable` where nobody can tell now."""
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

    def role(self, *, give_up_at: datetime) -> database_checks.RoleEntry:
        """The role, with its own settings and the safeguards that its sessions have.

        Raises `errors.UnknownQuestion` where a counting task is too old to tell."""
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

    def estimate_count(
        self, window: windows.Window, *, scope: str | None, bucket_seconds: float, give_up_at: datetime
    ) -> count_costs.CountEstimate:
        """What `count` of the same window would cost. It is not run: a few pages are, to time them.

        Raises `errors.UnknownQuestion` where a counting task is too old to tell."""
        ...


class DatabaseInspector(Protocol):
    """Reads the state of a database, as the role of its DSN sees it. Read-only.

    What the role may not see is named in the answer and has no figure. Each question raises `errors.Unavailable` after
    at most 3 attempts, and never goes on past `give_up_at`.
    """

    def inspect(self, table: str, *, give_up_at: datetime) -> database_checks.DatabaseReading:
        """Everything about the database, its role and one table, which may be absent."""
        ...

    def identify(self, *, give_up_at: datetime) -> database_checks.DatabaseIdentity:
        """What tells the database from every other one."""
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
    """One document as a place lists it. `tag` changes with its bytes, so a removal never takes newer bytes."""

    name: str
    size: int
    modified_at: datetime
    tag: str


class Runs(Protocol):
    """A place that holds one evidence store for each run."""

    def newest_first(self, group: str | None, now: datetime) -> Iterator[str]:
        """The ids of runs, the newest first, of one group where it is given. Ids that carry no time come last.

        Raises `errors.EvidenceUnknown` where the place cannot be listed, `errors.EvidenceIncomplete` where there is no
        such place.
        """
        ...

    def store(self, execution_id: str) -> EvidenceStore:
        """The documents of one run, whether there is one or not."""
        ...

    def list_documents(self, execution_id: str) -> Sequence[Stored]:
        """The documents of one run. Raises `errors.EvidenceUnknown` where they cannot be listed."""
        ...

    def remove(self, execution_id: str, document: Stored) -> None:
        """Removes a document as it was listed; a missing one is a success.

        Raises `errors.Conflict` where it has changed since, `errors.Unavailable` or `errors.Refused` where it stays.
        """
        ...


class Outlet(Protocol):
    """Somebody outside who is told how a run went: a webhook, a bus, a collector, a file."""

    @property
    def name(self) -> str:
        """What the operator calls it; never an address, which may hold a secret."""
        ...

    def send(self, message: run_messages.RunMessage) -> None:
        """Tells it one message; the same message may come twice.

        Raises `errors.Unavailable` where a repeat may help, `errors.Refused` where it will not. Ends within seconds.
        """
        ...


class Signer(Protocol):
    """Signs with a private key that stays in its file, or in KMS."""

    @property
    def key_id(self) -> str:
        """The id of the key, as signatures name it."""
        ...

    def sign(self, statement: bytes) -> bytes:
        """The bytes of a DSSE envelope around a statement. They differ each time, so callers keep the first.

        Raises `errors.Unavailable` where a repeat may help, `errors.Refused` or `errors.UsageError` where it will not.
        """
        ...


class EvidencePlace(EvidenceStore, Protocol):
    """A store that documents are published to, which answers for each of them.

    Errors of `put_once` have their `unwritten` set.
    """

    @property
    def place(self) -> str:
        """Its address, as messages and documents name it."""
        ...

    def stamp(self, name: str) -> Stamp:
        """The place's answer when this object put the document, newly or again; empty before."""
        ...

    def beneath(self, folder: str) -> EvidencePlace:
        """The place in a folder of this one."""
        ...


class Journal(Protocol):
    """The run's append-only log: every intent before its act, every fact after, each durable before the next act."""

    def append(self, event: base.Event) -> journals.Entry:
        """Writes one event durably and returns its line."""
        ...

    def append_all(self, events: Sequence[base.Event]) -> Sequence[journals.Entry]:
        """Writes several facts durably, which costs no more time than one, and returns their lines."""
        ...

    def entries(self) -> Sequence[journals.Entry]:
        """Every whole line so far; a line that a crash cut in half is passed over."""
        ...

    def prefix(self) -> bytes:
        """The bytes written so far."""
        ...


class StagedDatabase(Protocol):
    """A database whose settings, indexes and extensions are changed in stages, by one process at a time."""

    def take_lock(self) -> None:
        """Takes the lock of staged changes, kept until `close` or death.

        Raises `errors.Conflict` where somebody else holds it, `errors.Unavailable` where nobody can tell.
        """
        ...

    def require_lock(self) -> None:
        """Raises `errors.Unavailable` where the lock was lost: somebody else may be at work."""
        ...

    def identify(self) -> stagings.StagedIdentity:
        """The database and its server, as they are now."""
        ...

    def find_obstacles(self, planned_changes: Sequence[changes.Change]) -> Sequence[str]:
        """Why changes could not be applied here, in words: a standby, a missing right or table, a name that is taken.
        Nothing is changed; empty where nothing is known to be in the way."""
        ...

    def read_snapshot(self, tables: Sequence[changes.TableName]) -> database_snapshots.DatabaseSnapshot:
        """The database as a new session sees it, with the indexes of these tables and their partitions."""
        ...

    def list_pending(self) -> Sequence[str]:
        """The settings that are configured and wait for a restart."""
        ...

    def apply(self, statement: changes.Statement) -> None:
        """Applies a change, also one that was cut before: afterwards it is so, whatever was half done.

        Raises `errors.Refused` where the server says no, `errors.Unavailable` where the answer is lost, and where the
        lock is lost meanwhile.
        """
        ...

    def measure_count(self, table: changes.TableName, cost: stage_files.CountCost) -> Mapping[str, float]:
        """The cost of one count: `seconds` (the median), `pages` and `receipts`. Raises as `apply`."""
        ...

    def close(self) -> None:
        """Gives the lock back; closing twice is no error."""
        ...


class CourseJournal(Protocol[E]):
    """The append-only log of a course: every intent before its act, each line durable before the next act."""

    def append(self, event: E) -> course_journals.Line[E]:
        """Writes one event durably and returns its line."""
        ...

    def lines(self) -> Sequence[course_journals.Line[E]]:
        """Every whole line so far; a line that a crash cut in half is passed over."""
        ...

    def prefix(self, sequence: int) -> bytes:
        """The bytes up to the end of the line of this number."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class ProgramAnswer:
    """The end of a program: its exit code, and what it wrote."""

    exit_code: int
    output: bytes
    complaint: str
    """The end of what it wrote to stderr; words from outside."""


class ProgramRunner(Protocol):
    """Programs of this machine that run to their end."""

    def run(self, argv: Sequence[str], *, seconds_max: float) -> ProgramAnswer:
        """Runs a program, and ends it with all that it started where it takes longer. Raises `errors.Refused` where it
        cannot be started, takes too long, or writes too much."""
        ...


class KeptPrograms(Protocol):
    """Programs of this machine that go on where burst is killed: each has a name, and one copy at most."""

    def run(self, name: str, argv: Sequence[str], *, seconds_max: float) -> ProgramAnswer:
        """Runs a program, or answers with the end that an earlier process did not see; one that was cut runs again.
        Raises as `ProgramRunner.run`, and `errors.Unavailable` where a copy still runs."""
        ...

    def await_earlier(self, say: Callable[[str], None]) -> None:
        """Waits until no program of an earlier process runs. Raises `errors.Unavailable` for what one left behind."""
        ...

    def forget(self, name: str) -> None:
        """Removes what was kept of a program, once its answer is journalled."""
        ...
