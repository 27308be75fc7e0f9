"""Taking a run over: a run launched on another machine, continued on this one from nothing but its id and run control.

What was announced before the launch makes the folder again; the lease and ECS say what happened since. A run whose
controller still beats is refused: two controllers would stop each other's tasks.
"""

from pathlib import Path

from burst import ports
from burst.adapters import files as folders
from burst.adapters import journal_file, lease_s3, s3
from burst.domain import canonical, documents, errors, instants, runids
from burst.domain import plan as plans
from burst.wiring import cloud

BEATS = 3
"""How many beats of a living controller are waited for before its run is taken over."""
SKEW_SECONDS = 900.0
"""How far a clock may be off: AWS answers no machine whose clock is further off."""


def announce(plan: plans.Plan, store: folders.FolderStore, announcement: documents.Announcement) -> None:
    """Puts what a takeover needs under run control. Raises what the store raises: nothing may be launched then.

    An id that does not tell when the run began gets an alias that does, so that the newest is found without a scan.
    """
    opened = cloud.opener(plan, announcement.deadline_utc, announcement.created_utc)
    place = opened(f"{plan.evidence.authority}/{plan.execution_id}")
    if not runids.is_of(announcement.execution_id, plan.group, announcement.created_utc):
        alias = documents.Alias(execution_id=announcement.execution_id)
        name = runids.alias(announcement.execution_id, plan.group, announcement.created_utc)
        opened(f"{plan.evidence.authority}/{name}").put_once(documents.ALIAS, alias.content())
    for name in (documents.PLAN, documents.BASELINE, documents.PRIOR, documents.preflight_name(plan.slug)):
        if name in store.names():
            place.put_once(name, store.read(name))
    place.put_once(documents.RUN, announcement.content())


def _announcement(execution_id: str, run_control: str) -> tuple[s3.S3Store, documents.Announcement]:
    folders.refuse_odd_name(execution_id)
    place = cloud.authority(run_control.rstrip("/"), execution_id)
    try:
        return place, documents.read(documents.Announcement, place.read(documents.RUN))
    except errors.EvidenceIncomplete as exc:
        raise errors.EvidenceIncomplete(f"no run {execution_id} was announced under {run_control}") from exc


def announced_plan(execution_id: str, run_control: str) -> plans.Plan:
    """The plan of a run as it was announced, its digest checked.

    Raises `errors.EvidenceIncomplete` where there is none, `errors.EvidenceCorrupt` where it is another.
    """
    place, announcement = _announcement(execution_id, run_control)
    content = place.read(documents.PLAN)
    if canonical.digest(content) != announcement.plan_sha256:
        raise errors.EvidenceCorrupt(f"{place.place}/{documents.PLAN} is not the plan that was announced")
    return plans.parse(content.decode(), source=f"{place.place}/{documents.PLAN}")


def take_over(execution_id: str, run_control: str, runs_dir: Path, clock: ports.Clock) -> Path:
    """The folder of a run of another machine, made here from run control.

    Raises `errors.EvidenceIncomplete` where no such run was announced, `errors.Conflict` while its controller beats.
    """
    _, announcement = _announcement(execution_id, run_control)
    plan = announced_plan(execution_id, run_control)
    lease = cloud.run_control(plan)
    _refuse_while_it_beats(lease, plan, clock)
    kept = _kept(plan, announcement)
    store = folders.FolderStore.create(runs_dir, execution_id)
    for name, content in kept.items():
        store.put_once(name, content)
    path = store.folder / documents.JOURNAL
    if documents.JOURNAL in kept:
        return store.folder
    journal = journal_file.FileJournal.create(path, clock.now)
    journal.append(
        "run-created",
        schema=documents.JOURNAL_SCHEMA,
        execution_id=execution_id,
        scope=plan.scope,
        plan_sha256=announcement.plan_sha256,
        deadline=instants.text(announcement.deadline_utc),
        early_stop=announcement.early_stop,
        barrier=announcement.barrier,
    )
    if lease.read() is not None:
        journal.append("taken-over", created_at=instants.text(announcement.created_utc))
    journal.close()
    return store.folder


def _kept(plan: plans.Plan, announcement: documents.Announcement) -> dict[str, bytes]:
    """What the places hold of the run, each document from the first that has it, the snapshot last.

    A controller that died while it published may have reached only some of them, and what stands is never made anew.
    A place where another run's documents stand has none of this run.
    """
    names = (
        documents.PLAN,
        documents.JOURNAL,
        documents.REPORT,
        *documents.adjudicated(plan.slug),
        documents.signature_name(plan.slug),
        documents.snapshot_name(plan.slug),
    )
    kept: dict[str, bytes] = {}
    for place in reversed(cloud.places(plan, announcement.deadline_utc, announcement.created_utc)):
        there = set(place.names())
        ours = documents.PLAN in there and canonical.digest(place.read(documents.PLAN)) == announcement.plan_sha256
        if ours:
            kept |= {name: place.read(name) for name in names if name in there and name not in kept}
    return {name: kept[name] for name in names if name in kept}


def _refuse_while_it_beats(lease: lease_s3.S3RunControl, plan: plans.Plan, clock: ports.Clock) -> None:
    """A heartbeat that moves is a living controller's, whatever it and this machine's clock say of its age."""
    before = lease.read()
    surely_old_seconds = plan.layers.lease_ttl + SKEW_SECONDS
    if before is None or instants.seconds_between(before.heartbeat_at, clock.now()) > surely_old_seconds:
        return
    until = instants.later(clock.now(), BEATS * cloud.beat_seconds(plan))
    while clock.now() < until:
        clock.sleep(0.5)
        standing = lease.read()
        if standing is not None and standing.beat != before.beat:
            raise errors.Conflict(
                f"the controller of {plan.execution_id} is alive on another machine; wait until it is done, "
                f"or end its burst: burst stop {plan.execution_id} --run-control {plan.evidence.authority}"
            )
