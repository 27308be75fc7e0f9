"""Ownership: how a controller gets the run it drives, and keeps every other controller out.

The lease names its owner. A controller that continues a run claims the lease first, by compare-and-swap, wherever the
run's folder lies: of all that try at once one succeeds, and the owner before it learns at its next beat, or after a
SIGSTOP at its first one, that it was superseded. From the claim on a thread beats, so that the tasks' lease does not
end while documents are fetched and adapters made.

How long a heartbeat has to stand still. Tasks end `lease_ttl` after the last beat that they saw, so a burst can only be
continued by a claim well before. A living controller beats every sixth of that time or sooner, and its beat is a read
and a swap: where each call takes as long as its client waits, two beats lie `slowest_beat_seconds` apart, 12 s on S3.
So a claim waits for half a `lease_ttl` (15 s by default, seven missed beats), for the slowest beat where that is
longer, and never for more than a `lease_ttl`, after which the tasks have ended. The silence runs on the claimant's
monotonic clock, from the end of the reading that saw the beat first to the beginning of a later one that saw it still:
neither clock of the two machines matters, and a slow reading never counts as silence. A living controller that S3 has
not answered for so long may be superseded; it is told, and its burst is continued.
"""

import contextlib
import socket
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from types import TracebackType
from typing import Self

from burst import ports
from burst.control import heart, watching
from burst.domain.basics import errors, instants
from burst.domain.plan import plans, run_commands
from burst.domain.tasks import leases, masters

SKEW_SECONDS = 900.0
"""How far a machine's clock may be off: AWS answers no machine whose clock is further off."""
LOOK_SECONDS = 0.5
"""The pause between two readings of a heartbeat."""
BEATS_WAITED = 4
"""How many beats a controller that was superseded waits for one of its successor."""
SETUP_SECONDS = 300.0
"""How long a controller may take from its claim to its first own beat, before it is taken for dead."""


@contextlib.contextmanager
def name_commands(run: str, plan: plans.Plan) -> Iterator[None]:
    """Adds to an `errors.ControllerAtWork` the commands by which its run is ended; `run` is its folder or id."""
    try:
        yield
    except errors.ControllerAtWork as exc:
        raise errors.ControllerAtWork(
            f"{exc}. Nothing was done in it here. Wait until that controller is done, or end its burst: "
            f"{run_commands.stop(run, plan)}"
        ) from exc


def make_owner(clock: ports.Clock) -> leases.Owner:
    """A new owner: this process, or one controller of several in it."""
    return leases.Owner(controller=uuid.uuid4().hex[:8], host=socket.gethostname(), since=clock.now())


def silence_seconds(lease_ttl_seconds: float, slowest_beat_seconds: float) -> float:
    """How long a heartbeat has to stand still before another controller may claim the lease."""
    return min(lease_ttl_seconds, max(lease_ttl_seconds / 2, slowest_beat_seconds))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunLease:
    """The lease of one run, and what its heartbeat may take."""

    store: ports.LeaseStore
    execution_id: str
    deadline: datetime
    begun_at: datetime
    """When the run was announced or begun: the last sign of its controller where there is no lease."""
    ttl_seconds: float
    slowest_beat_seconds: float


class OwnedLease:
    """`ports.LeaseStore` in the name of one controller: it reads and writes no lease of another owner.

    Reading and writing raise `errors.ControllerAtWork` once the lease has another owner.
    """

    def __init__(self, store: ports.LeaseStore, owner: leases.Owner) -> None:
        self._store = store
        self._owner = owner

    def create(self, first: leases.Lease) -> None:
        """Writes the first lease, with its owner."""
        self._store.create(replace(first, owner=self._owner))

    def read(self) -> leases.Lease | None:
        """The present lease."""
        lease = self._store.read()
        if lease is not None:
            leases.refuse_foreign(lease, self._owner)
        return lease

    def write(self, lease: leases.Lease) -> leases.Lease:
        """Replaces the lease as `ports.LeaseStore` says."""
        return self._store.write(replace(lease, owner=self._owner))

    def claim(self, last_read: leases.Lease, owner: leases.Owner, at: datetime) -> leases.Lease:
        """Gives the lease to another owner."""
        return self._store.claim(last_read, owner, at)

    def mark_ready(self, shard_index: int) -> None:
        """A task says it is ready to start."""
        self._store.mark_ready(shard_index)

    def ready(self) -> frozenset[int]:
        """The shards that are marked ready."""
        return self._store.ready()

    def free_shard(self, shard_index: int) -> None:
        """Frees a shard as `ports.LeaseStore` says."""
        self._store.free_shard(shard_index)

    def claims(self) -> Mapping[str, int]:
        """Tasks and their shards as `ports.LeaseStore` says."""
        return self._store.claims()

    def close_claims(self, count: int) -> None:
        """Lets no further task take a shard, as `ports.LeaseStore` says."""
        self._store.close_claims(count)

    def tell_master(self, master: masters.MasterAddress) -> None:
        """The task with the master says where workers find it."""
        self._store.tell_master(master)

    def find_master(self) -> masters.MasterAddress | None:
        """Where workers find the master."""
        return self._store.find_master()


def hold(store: ports.LeaseStore, owner: leases.Owner | None) -> ports.LeaseStore:
    """The lease in the name of `owner`, or in nobody's."""
    return store if owner is None else OwnedLease(store, owner)


def sees_beat(run: RunLease, clock: ports.Clock, monotonic: Callable[[], float] = time.monotonic) -> bool:
    """Whether the heartbeat of a lease moves within the time of `BEATS_WAITED` beats; a lease that cannot be read does
    not."""
    last_read: leases.Lease | None = None
    give_up_at = monotonic() + BEATS_WAITED * watching.beat_seconds(run.ttl_seconds)
    while monotonic() < give_up_at:
        with contextlib.suppress(errors.Unavailable):
            present = run.store.read()
            if last_read is not None and present != last_read:
                return True
            last_read = present
        clock.sleep(LOOK_SECONDS)
    return False


class Ownership:
    """The claim of one controller to one run; as a context it beats from the claim on."""

    def __init__(self, clock: ports.Clock, monotonic: Callable[[], float] = time.monotonic) -> None:
        self.owner = make_owner(clock)
        self._clock = clock
        self._monotonic = monotonic
        self._beating = contextlib.ExitStack()
        self._claimed: leases.Lease | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._beating.close()

    @property
    def claimed(self) -> bool:
        """Whether the lease is this controller's."""
        return self._claimed is not None

    def claim(self, run: RunLease, *, predecessors: Collection[str] | None = None) -> bool:
        """Claims the lease of a run and begins to beat; False where there was none, and the first was made here.

        `predecessors` are the controllers of the run's folder, where this one holds its lock: they are dead, and their
        heartbeat is not waited for, nor a lease that none of them made. Raises `errors.ControllerAtWork` where another
        controller beats or claims, `errors.Unavailable` where nobody can tell.
        """
        last_read = self._read(run)
        if last_read is None:
            if predecessors is None:
                self._await_no_lease(run)
            self._claimed = self._create(run)
        else:
            owner = last_read.owner
            if owner is None or owner.controller not in (predecessors or ()):
                self._await_silence(run, last_read)
            self._claimed = self._take(run, last_read)
        self._begin_to_beat(run)
        return last_read is not None

    def _read(self, run: RunLease) -> leases.Lease | None:
        """The lease; one that cannot be read is asked for again as long as its silence would be waited for."""
        give_up_at = self._monotonic() + silence_seconds(run.ttl_seconds, run.slowest_beat_seconds)
        while True:
            try:
                return run.store.read()
            except errors.Unavailable:
                if self._monotonic() >= give_up_at:
                    raise
            self._clock.sleep(LOOK_SECONDS)

    def _await_silence(self, run: RunLease, last_read: leases.Lease) -> None:
        """Waits until the heartbeat has stood still for long enough; one that is older than clocks are off has."""
        age_seconds = instants.seconds_between(last_read.heartbeat_at, self._clock.now())
        if age_seconds > run.ttl_seconds + SKEW_SECONDS:
            return
        wanted_seconds = silence_seconds(run.ttl_seconds, run.slowest_beat_seconds)
        read_at, silent_seconds = self._monotonic(), 0.0
        give_up_at = read_at + 2 * run.ttl_seconds
        while silent_seconds < wanted_seconds:
            self._clock.sleep(LOOK_SECONDS)
            asked_at = self._monotonic()
            try:
                present = run.store.read()
            except errors.Unavailable:
                if asked_at > give_up_at:
                    raise
                continue
            if present != last_read:
                raise _at_work(run, present)
            silent_seconds = asked_at - read_at

    def _take(self, run: RunLease, last_read: leases.Lease) -> leases.Lease:
        try:
            return run.store.claim(last_read, self.owner, self._clock.now())
        except errors.Conflict:
            raise _at_work(run, run.store.read()) from None

    def _await_no_lease(self, run: RunLease) -> None:
        """Waits for the lease that a controller may still make. Raises `errors.ControllerAtWork` where it does."""
        if instants.seconds_between(run.begun_at, self._clock.now()) > run.ttl_seconds + SKEW_SECONDS:
            return
        give_up_at = self._monotonic() + run.ttl_seconds
        while self._monotonic() < give_up_at:
            self._clock.sleep(LOOK_SECONDS)
            with contextlib.suppress(errors.Unavailable):
                present = run.store.read()
                if present is not None:
                    raise _at_work(run, present)

    def _create(self, run: RunLease) -> leases.Lease:
        """Makes the first lease of a run. A controller that is slow to make it finds one that is not its own, and
        launches nothing."""
        first = leases.Lease(
            execution_id=run.execution_id,
            state=leases.LeaseState.WAIT,
            deadline=run.deadline,
            beat=0,
            heartbeat_at=self._clock.now(),
            owner=self.owner,
        )
        try:
            run.store.create(first)
        except errors.Conflict:
            raise _at_work(run, run.store.read()) from None
        return first

    def _begin_to_beat(self, run: RunLease) -> None:
        beating = heart.Heart(lambda: self._beat(run), watching.beat_seconds(run.ttl_seconds))
        beating.allow(SETUP_SECONDS)
        self._beating.enter_context(beating.beating())

    def _beat(self, run: RunLease) -> None:
        """Moves the heartbeat. A failure is left to the next beat, and a new owner to the controller's own beat."""
        if self._claimed is not None:
            with contextlib.suppress(errors.BurstError):
                run.store.write(replace(self._claimed, heartbeat_at=self._clock.now()))


def _at_work(run: RunLease, present: leases.Lease | None) -> errors.ControllerAtWork:
    owner = None if present is None else present.owner
    words = "another controller" if owner is None else owner.words()
    return errors.ControllerAtWork(f"run {run.execution_id} is driven by {words}")
