"""Announcements: a run on ECS is put under run control before its launch, so that another machine can take it over."""

from burst import ports
from burst.adapters.aws import s3_store
from burst.domain.basics import canonical, errors, naming
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import plans
from burst.domain.run import run_ids
from burst.wiring.targets import ecs_places


def announce(plan: plans.Plan, store: ports.EvidenceStore, announcement: run_records.Announcement) -> None:
    """Puts what a takeover needs under run control. Raises what the store raises: nothing may be launched then.

    An id without the instant of its run gets an alias that has it, so that the newest run is found without a scan.
    """
    opener = ecs_places.PlaceOpener(plan, announcement.deadline_utc, announcement.created_utc)
    place = opener.open(f"{plan.evidence.authority}/{plan.execution_id}")
    if not run_ids.tells_start(announcement.execution_id, plan.group, announcement.created_utc):
        alias = run_records.Alias(execution_id=announcement.execution_id)
        name = run_ids.make_alias(announcement.execution_id, plan.group, announcement.created_utc)
        opener.open(f"{plan.evidence.authority}/{name}").put_once(document_names.ALIAS, alias.content())
    for name in (
        document_names.PLAN,
        document_names.BASELINE,
        document_names.PRIOR,
        document_names.PRIOR_PLAN,
        document_names.GATE_RECORDS,
        document_names.REFERENCE,
        document_names.REFERENCE_PLAN,
        document_names.preflight_name(plan.slug),
        document_names.attempt_name(plan.slug),
    ):
        if name in store.names():
            place.put_once(name, store.read(name))
    place.put_once(document_names.RUN, announcement.content())


def read_announcement(execution_id: str, run_control: str) -> tuple[s3_store.S3Store, run_records.Announcement]:
    """The announcement of a run, and the place it lies in.

    Raises `errors.EvidenceIncomplete` where no such run was announced, `errors.UsageError` for an id that is no name.
    """
    naming.refuse_odd(execution_id)
    place = ecs_places.run_place(run_control, execution_id)
    try:
        return place, models.read(run_records.Announcement, place.read(document_names.RUN))
    except errors.EvidenceIncomplete as exc:
        raise errors.EvidenceIncomplete(f"no run {execution_id} was announced under {run_control}") from exc


def read_plan(execution_id: str, run_control: str) -> plans.Plan:
    """The plan of a run as it was announced, its digest checked.

    Raises `errors.EvidenceIncomplete` where no such run was announced, `errors.EvidenceCorrupt` where the plan is
    another one.
    """
    place, announcement = read_announcement(execution_id, run_control)
    content = place.read(document_names.PLAN)
    if canonical.digest(content) != announcement.plan_sha256:
        raise errors.EvidenceCorrupt(f"{place.place}/{document_names.PLAN} is not the plan that was announced")
    return plans.read(content, source=f"{place.place}/{document_names.PLAN}")
