"""Who drives a run: one controller at a time, from the claim on; no living one is superseded for a late beat."""

import threading
from collections.abc import Callable, Collection
from dataclasses import dataclass, field, replace
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.control import layers, ownership, watching
from burst.domain.basics import errors, instants
from burst.domain.tasks import leases
from tests import fakes, waiting

TTL_SECONDS = 30.0
CALL_SECONDS = 5.0
"""How long a client of the lease waits for each answer."""
SLOWEST_SECONDS = watching.beat_seconds(TTL_SECONDS) + 2 * CALL_SECONDS
DEADLINE = instants.later(fakes.START, 600)
SECOND = replace(fakes.OWNER, controller="2e1b", host="runner-2")
FIRST_LEASE = leases.Lease(
    execution_id="run-1",
    state=leases.LeaseState.GO,
    deadline=DEADLINE,
    beat=7,
    heartbeat_at=fakes.START,
    go_at=fakes.START,
    owner=fakes.OWNER,
)


@dataclass
class Machine:
    """The clock of a claimant, wrong by `off_seconds`, and what happens on the other machine while it sleeps."""

    off_seconds: float = 0.0
    meanwhile: Callable[[float], None] = lambda seconds: None
    seconds: float = 0.0

    def now(self) -> datetime:
        return instants.later(fakes.START, self.seconds + self.off_seconds)

    def monotonic(self) -> float:
        return self.seconds

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds
        self.meanwhile(self.seconds)


@dataclass(slots=True)
class SlowLease(fakes.MemoryLeaseStore):
    """A lease whose answers take as long as the machine says."""

    machine: Machine = field(default_factory=Machine)
    answer_seconds: float = 0.0

    def read(self) -> leases.Lease | None:
        self.machine.sleep(self.answer_seconds / 2)
        present = self.standing
        self.machine.sleep(self.answer_seconds / 2)
        return present


def run_lease(store: fakes.MemoryLeaseStore, *, ttl_seconds: float = TTL_SECONDS) -> ownership.RunLease:
    return ownership.RunLease(
        store=store,
        execution_id="run-1",
        deadline=DEADLINE,
        begun_at=fakes.START,
        ttl_seconds=ttl_seconds,
        slowest_beat_seconds=min(SLOWEST_SECONDS, ttl_seconds),
    )


def claim_run(
    machine: Machine, store: fakes.MemoryLeaseStore, predecessors: Collection[str] | None = None
) -> leases.Owner:
    """Claims the run of a lease as a controller on this machine; returns that controller."""
    with ownership.Ownership(machine, machine.monotonic) as own:
        own.claim(run_lease(store), predecessors=predecessors)
    return own.owner


@pytest.mark.parametrize("off_seconds", [-600.0, 0.0, 600.0], ids=["behind", "right", "ahead"])
def test_a_dead_controllers_run_is_claimed_after_half_a_lease_ttl_whatever_the_clocks_say(off_seconds: float) -> None:
    machine, store = Machine(off_seconds), fakes.MemoryLeaseStore(FIRST_LEASE)

    with ownership.Ownership(machine, machine.monotonic) as own:
        had_lease = own.claim(run_lease(store))
        claimed = store.standing

    assert had_lease
    assert TTL_SECONDS / 2 <= machine.seconds <= TTL_SECONDS / 2 + 2 * ownership.LOOK_SECONDS
    assert claimed is not None
    assert claimed.owner == own.owner
    assert (claimed.state, claimed.go_at) == (leases.LeaseState.GO, fakes.START)
    assert claimed.beat > FIRST_LEASE.beat


def beat_every(store: fakes.MemoryLeaseStore, every_seconds: float) -> Callable[[float], None]:
    """The controller on the other machine, whose heartbeats arrive so far apart."""
    due = [every_seconds]

    def meanwhile(seconds: float) -> None:
        if seconds >= due[0]:
            due[0] += every_seconds
            store.write(replace(FIRST_LEASE, beat=0))

    return meanwhile


@given(
    every_seconds=st.floats(0.2, SLOWEST_SECONDS),
    answer_seconds=st.floats(0.0, CALL_SECONDS),
    off_seconds=st.floats(-600, 600),
)
def test_no_controller_is_superseded_whose_beats_are_as_late_as_s3_can_make_them(
    every_seconds: float, answer_seconds: float, off_seconds: float
) -> None:
    machine = Machine(off_seconds)
    store = SlowLease(FIRST_LEASE, machine=machine, answer_seconds=answer_seconds)
    machine.meanwhile = beat_every(store, every_seconds)

    with pytest.raises(errors.ControllerAtWork, match="run-1 is driven by controller 1f0a on runner-1 since"):
        claim_run(machine, store)

    assert store.standing is not None
    assert store.standing.owner == fakes.OWNER
    assert machine.seconds < 30


@pytest.mark.parametrize(("ttl_seconds", "silence_seconds"), [(30.0, 15.0), (60.0, 30.0), (16.0, 12.0), (6.0, 6.0)])
def test_a_claim_waits_half_a_ttl_or_the_slowest_beat_and_never_longer_than_tasks_do(
    ttl_seconds: float, silence_seconds: float
) -> None:
    assert ownership.silence_seconds(ttl_seconds, SLOWEST_SECONDS) == silence_seconds


def test_a_heartbeat_that_no_clock_can_be_so_far_off_from_is_not_waited_for() -> None:
    machine = Machine(off_seconds=TTL_SECONDS + ownership.SKEW_SECONDS + 1)
    store = fakes.MemoryLeaseStore(FIRST_LEASE)

    claim_run(machine, store)

    assert machine.seconds == 0


def test_a_controller_that_the_folders_lock_shows_dead_is_not_waited_for() -> None:
    machine, store = Machine(), fakes.MemoryLeaseStore(FIRST_LEASE)

    owner = claim_run(machine, store, {"1f0a"})

    assert machine.seconds == 0
    assert store.standing is not None
    assert store.standing.owner == owner


def test_a_folder_whose_run_another_machine_claimed_waits_for_that_ones_heartbeat() -> None:
    machine, store = Machine(), fakes.MemoryLeaseStore(replace(FIRST_LEASE, owner=SECOND))
    machine.meanwhile = lambda seconds: store.__setattr__("standing", replace(store.write(FIRST_LEASE_OF_NOBODY)))

    with pytest.raises(errors.ControllerAtWork, match="controller 2e1b on runner-2"):
        claim_run(machine, store, {"1f0a"})


FIRST_LEASE_OF_NOBODY = replace(FIRST_LEASE, owner=None)


def test_of_two_claims_at_once_the_loser_names_the_winner() -> None:
    store = fakes.MemoryLeaseStore(FIRST_LEASE)
    first, second = ownership.Ownership(fakes.TickingClock()), ownership.Ownership(fakes.TickingClock())
    outcomes: dict[str, str] = {}
    together = threading.Barrier(2)

    def claim(own: ownership.Ownership) -> None:
        together.wait()
        try:
            own.claim(run_lease(store), predecessors={"1f0a"})
        except errors.ControllerAtWork as exc:
            outcomes[own.owner.controller] = str(exc)
        else:
            outcomes[own.owner.controller] = ""

    threads = [threading.Thread(target=claim, args=(own,)) for own in (first, second)]
    with first, second:
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        owner = store.standing.owner if store.standing else None

    assert owner is not None
    lost = {first.owner.controller, second.owner.controller} - {owner.controller}
    assert outcomes[owner.controller] == ""
    assert owner.words() in outcomes[lost.pop()]


@dataclass(slots=True)
class Overtaken(fakes.MemoryLeaseStore):
    """A lease whose controller beats once more after the last look of a claim."""

    machine: Machine = field(default_factory=Machine)
    read_at: float | None = None
    beaten: bool = False

    def read(self) -> leases.Lease | None:
        if self.read_at == self.machine.seconds:
            self._beat()
        self.read_at = self.machine.seconds
        return super(Overtaken, self).read()

    def claim(self, last_read: leases.Lease, owner: leases.Owner, at: datetime) -> leases.Lease:
        self._beat()
        return super(Overtaken, self).claim(last_read, owner, at)

    def _beat(self) -> None:
        if not self.beaten:
            self.beaten = True
            self.write(FIRST_LEASE)


def test_a_beat_that_comes_after_the_last_look_keeps_the_run_for_its_controller() -> None:
    machine = Machine()
    store = Overtaken(FIRST_LEASE, machine=machine)

    with pytest.raises(errors.ControllerAtWork, match="controller 1f0a on runner-1"):
        claim_run(machine, store)

    assert store.standing is not None
    assert store.standing.owner == fakes.OWNER


def test_from_the_claim_on_the_lease_beats_by_itself_until_the_context_ends() -> None:
    store = fakes.MemoryLeaseStore(FIRST_LEASE)

    with ownership.Ownership(fakes.TickingClock()) as own:
        own.claim(run_lease(store, ttl_seconds=0.3), predecessors={"1f0a"})
        waiting.until(lambda: store.standing is not None and store.standing.beat > 11, what="three beats")

    assert store.standing is not None
    assert store.standing.owner == own.owner
    assert store.standing.state is leases.LeaseState.GO


def test_a_run_without_a_lease_is_claimed_by_making_it_and_its_slow_controller_launches_nothing() -> None:
    machine, store = Machine(), fakes.MemoryLeaseStore()
    with ownership.Ownership(machine, machine.monotonic) as own:
        had_lease = own.claim(run_lease(store))
    slow = layers.LeaseLayer(
        ownership.OwnedLease(store, fakes.OWNER), execution_id="run-1", ttl_seconds=TTL_SECONDS, clock=machine
    )

    with pytest.raises(errors.ControllerAtWork, match=own.owner.controller):
        slow.arm(DEADLINE)

    assert not had_lease
    assert machine.seconds >= TTL_SECONDS
    assert store.standing is not None
    assert (store.standing.owner, store.standing.state) == (own.owner, leases.LeaseState.WAIT)


def test_in_the_runs_folder_a_lease_that_nobody_made_is_not_waited_for() -> None:
    machine, store = Machine(), fakes.MemoryLeaseStore()

    owner = claim_run(machine, store, ())

    assert machine.seconds == 0
    assert store.standing is not None
    assert store.standing.owner == owner


def test_a_lease_that_cannot_be_read_is_nobodys_to_claim() -> None:
    machine, store = Machine(), fakes.MemoryLeaseStore(FIRST_LEASE, down=True)

    with pytest.raises(errors.Unavailable):
        claim_run(machine, store, {"1f0a"})

    assert store.standing == FIRST_LEASE
    assert machine.seconds <= TTL_SECONDS


def test_a_successor_is_seen_by_its_beats_and_not_by_its_name() -> None:
    machine, store = Machine(), fakes.MemoryLeaseStore(replace(FIRST_LEASE, owner=SECOND))
    silent = ownership.sees_beat(run_lease(store), machine, machine.monotonic)
    machine.meanwhile = lambda seconds: store.__setattr__("standing", store.write(FIRST_LEASE_OF_NOBODY))

    assert not silent
    assert ownership.sees_beat(run_lease(store), machine, machine.monotonic)
