"""Taking a run over: a run launched on another machine, continued on this one from nothing but its id and run control.

What was announced before the launch makes the folder again; the lease and ECS say what happened since. A run whose
controller still beats is refused: two controllers would stop each other's tasks.

Documents that were frozen and published, to whatever place, are taken as they are: one snapshot that holds anywhere is
the run's only one, and it is rolled forward to the other places, never made again.
"""

import contextlib
from collections.abc import Collection, Sequence
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters.aws import s3_leases, s3_store
from burst.adapters.local import folder_store, journal_file
from burst.domain.basics import canonical, errors, instants, naming
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import plans
from burst.domain.run import run_ids
from burst.evidence import verification
from burst.wiring.targets import ecs_target

SKEW_SECONDS = 900.0
"""How far a clock may be off: AWS answers no machine whose clock is further off."""


def announce(plan: plans.Plan, store: folder_store.FolderStore, announcement: run_records.Announcement) -> None:
    """Puts what a takeover needs under run control. Raises what the store raises: nothing may be launched then.

    An id that does not tell when the run began gets an alias that does, so that the newest is found without a scan.
    """
    opened = ecs_target.opener(plan, announcement.deadline_utc, announcement.created_utc)
    place = opened(f"{plan.evidence.authority}/{plan.execution_id}")
    if not run_ids.is_of(announcement.execution_id, plan.group, announcement.created_utc):
        alias = run_records.Alias(execution_id=announcement.execution_id)
        name = run_ids.alias(announcement.execution_id, plan.group, announcement.created_utc)
        opened(f"{plan.evidence.authority}/{name}").put_once(document_names.ALIAS, alias.content())
    for name in (
        document_names.PLAN,
        document_names.BASELINE,
        document_names.PRIOR,
        document_names.preflight_name(plan.slug),
    ):
        if name in store.names():
            place.put_once(name, store.read(name))
    place.put_once(document_names.RUN, announcement.content())


def _announcement(execution_id: str, run_control: str) -> tuple[s3_store.S3Store, run_records.Announcement]:
    naming.refuse_odd(execution_id)
    place = ecs_target.authority(run_control.rstrip("/"), execution_id)
    try:
        return place, models.read(run_records.Announcement, place.read(document_names.RUN))
    except errors.EvidenceIncomplete as exc:
        raise errors.EvidenceIncomplete(f"no run {execution_id} was announced under {run_control}") from exc


def announced_plan(execution_id: str, run_control: str) -> plans.Plan:
    """The plan of a run as it was announced, its digest checked.

    Raises `errors.EvidenceIncomplete` where there is none, `errors.EvidenceCorrupt` where it is another.
    """
    place, announcement = _announcement(execution_id, run_control)
    content = place.read(document_names.PLAN)
    if canonical.digest(content) != announcement.plan_sha256:
        raise errors.EvidenceCorrupt(f"{place.place}/{document_names.PLAN} is not the plan that was announced")
    return plans.parse(content.decode(), source=f"{place.place}/{document_names.PLAN}")


def take_over(execution_id: str, run_control: str, runs_dir: Path, clock: ports.Clock) -> Path:
    """The folder of a run of another machine, made here from run control.

    Raises `errors.EvidenceIncomplete` where no such run was announced, `errors.Conflict` while its controller beats,
    and what `recover` raises.
    """
    _, announcement = _announcement(execution_id, run_control)
    plan = announced_plan(execution_id, run_control)
    lease = ecs_target.run_control(plan)
    leased = _claim(lease, plan, announcement.created_utc, clock)
    kept_in = ecs_target.places(plan, announcement.deadline_utc, announcement.created_utc)
    found = recover(plan, announcement.plan_sha256, kept_in[::-1])
    store = folder_store.FolderStore.create(runs_dir, execution_id)
    for name, content in found.items():
        store.put_once(name, content)
    if document_names.JOURNAL in found:
        continued = journal_file.FileJournal.open(store.folder / document_names.JOURNAL, clock.now)
        note_recovered(continued, found[document_names.JOURNAL])
        continued.close()
        return store.folder
    journal = journal_file.FileJournal.create(store.folder / document_names.JOURNAL, clock.now)
    journal.append(
        "run-created",
        schema=document_names.JOURNAL_SCHEMA,
        execution_id=execution_id,
        scope=plan.scope,
        plan_sha256=announcement.plan_sha256,
        deadline=instants.text(announcement.deadline_utc),
        early_stop=announcement.early_stop,
        barrier=announcement.barrier,
    )
    if leased:
        journal.append("taken-over", created_at=instants.text(announcement.created_utc))
        journal.append("layer-armed", layer="lease", detail=f"{lease.uri} stood when the run was taken over")
    journal.close()
    return store.folder


def note_recovered(journal: ports.Journal, content: bytes) -> None:
    """Notes that the journal stands in a place as it is: a task result made from here on names no more of it."""
    journal.append("journal-recovered", size=len(content), sha256=canonical.digest(content))


def recover(plan: plans.Plan, plan_sha256: str, places: Sequence[ports.EvidenceStore]) -> dict[str, bytes]:
    """The documents of a run whose folder is lost, as its places hold them, the authority first; the journal last.

    A place with a snapshot that holds has all of them. Without one, each is taken from the first place that has it, and
    no snapshot. Raises `errors.EvidenceUnknown` where a place cannot be read (it may hold the snapshot),
    `errors.EvidenceCorrupt` where two places hold other bytes, or no snapshot that is there holds.
    """
    name = document_names.snapshot_name(plan.slug)
    own = [(place, names) for place in places if _is_of(place, names := set(place.names()), plan_sha256)]
    frozen = [verification.verify(place) for place, names in own if name in names]
    if frozen and all(finding.state is not verification.EvidenceState.OK for finding in frozen):
        frozen[0].require()
    wanted = (
        document_names.PLAN,
        *document_names.adjudicated_names(plan.slug),
        document_names.REPORT,
        document_names.signature_name(plan.slug),
        *([name] if frozen else []),
        document_names.JOURNAL,
    )
    found: dict[str, bytes] = {}
    for place, names in own:
        for wanted_name in names.intersection(wanted):
            content = place.read(wanted_name)
            if found.setdefault(wanted_name, content) != content:
                raise errors.EvidenceCorrupt(f"two places of the run hold another {wanted_name}; nothing was published")
    return {name: found[name] for name in wanted if name in found}


def _is_of(place: ports.EvidenceStore, names: Collection[str], plan_sha256: str) -> bool:
    """Whether the documents of a place are the run's: a scope's folder may be another run's."""
    return document_names.PLAN in names and canonical.digest(place.read(document_names.PLAN)) == plan_sha256


def _claim(lease: s3_leases.S3LeaseStore, plan: plans.Plan, announced_at: datetime, clock: ports.Clock) -> bool:
    """Makes the run this machine's, and says whether there is a lease. A heartbeat that moves, or a lease that comes to
    be, is a living controller's, whatever it and this machine's clock say of its age; it is waited for as long as by
    the tasks, who bear with a beat that is slow. Of two machines that see it stand still, one has it."""
    before = lease.read()
    last_sign_at = announced_at if before is None else before.heartbeat_at
    surely_old_seconds = plan.layers.lease_ttl + SKEW_SECONDS
    old = instants.seconds_between(last_sign_at, clock.now()) > surely_old_seconds
    until = instants.later(clock.now(), 0.0 if old else plan.layers.lease_ttl)
    standing = before
    while standing == before and clock.now() < until:
        clock.sleep(0.5)
        with contextlib.suppress(errors.Unavailable):  # not seen to move; in the end `claim` tells
            standing = lease.read()
    if before is None and standing is None and lease.read() is None:
        return False
    try:
        if before is None:
            raise errors.Conflict(f"{lease.uri} was made meanwhile")
        lease.claim(before, clock.now())
    except errors.Conflict as exc:
        raise errors.Conflict(
            f"the controller of {plan.execution_id} is alive on another machine; wait until it is done, "
            f"or end its burst: burst stop {plan.execution_id} --run-control {plan.evidence.authority}"
        ) from exc
    return True
