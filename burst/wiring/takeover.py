"""Takeover: continues a run of another machine on this one, from nothing but its id and run control.

The announcement made before the launch gives the folder; the lease and ECS say what happened since. The lease is
claimed first, as `control/ownership.py` says: a run whose controller still beats is refused, because two controllers
would stop each other's tasks, and a burst whose controller is gone is continued.

Published documents are taken as they are, from every place. A snapshot that holds in one place is the run's only
snapshot: it is rolled forward to the other places, never made again.
"""

import contextlib
from collections.abc import Collection, Sequence
from pathlib import Path

from burst import ports
from burst.adapters.local import folder_store, journal_file
from burst.control import ownership
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, run_records
from burst.domain.plan import plans
from burst.domain.run.events import launch_events
from burst.evidence import soundness, verification
from burst.wiring import announcements
from burst.wiring.targets import ecs_places, ecs_target


def take_over(
    execution_id: str, run_control: str, runs_dir: Path, clock: ports.Clock, own: ownership.Ownership
) -> Path:
    """Claims a run of another machine, makes its folder from run control, and returns that. `own` beats from here on.

    Raises `errors.EvidenceIncomplete` where no such run was announced, `errors.ControllerAtWork` while another
    controller beats, and what `recover` raises.
    """
    _, announcement = announcements.read_announcement(execution_id, run_control)
    plan = announcements.read_plan(execution_id, run_control)
    target = ecs_target.EcsTarget(plan, clock)
    with ownership.name_commands(execution_id, plan):
        has_lease = own.claim(target.run_lease(announcement.created_utc, announcement.deadline_utc))
    places = ecs_places.publication_places(plan, announcement.deadline_utc, announcement.created_utc)
    documents = recover(plan, announcement.plan_sha256, places[::-1])
    store = folder_store.FolderStore.create(runs_dir, execution_id)
    for name, content in documents.items():
        store.put_once(name, content)
    path = store.folder / document_names.JOURNAL
    if document_names.JOURNAL in documents:
        with contextlib.closing(journal_file.FileJournal.open(path, clock.now)) as recovered:
            note_recovered(recovered, documents[document_names.JOURNAL])
    else:
        with contextlib.closing(journal_file.FileJournal.create(path, clock.now)) as journal:
            _begin_journal(journal, execution_id, plan, announcement, has_lease=has_lease)
    return store.folder


def _begin_journal(
    journal: ports.Journal,
    execution_id: str,
    plan: plans.Plan,
    announcement: run_records.Announcement,
    *,
    has_lease: bool,
) -> None:
    """Writes what is known of a run without a journal: its announcement, and whether its lease was there."""
    journal.append(
        launch_events.RunCreated(
            schema=document_names.JOURNAL_SCHEMA,
            minor=document_names.JOURNAL_MINOR,
            execution_id=execution_id,
            scope=plan.scope,
            plan_sha256=announcement.plan_sha256,
            deadline=announcement.deadline_utc,
            early_stop=announcement.early_stop,
            barrier=announcement.barrier,
            command=tuple(announcement.command),
        )
    )
    if has_lease:
        journal.append(launch_events.TakenOver(created_at=announcement.created_utc))
        detail = f"{ecs_places.lease_store(plan).uri} stood when the run was taken over"
        journal.append(launch_events.LayerArmed(layer="lease", detail=detail))


def note_recovered(journal: ports.Journal, content: bytes) -> None:
    """Notes which journal the places hold: a task result made from here on names that prefix and no more."""
    journal.append(launch_events.JournalRecovered(size=len(content), sha256=canonical.digest(content)))


def recover(plan: plans.Plan, plan_sha256: str, places: Sequence[ports.EvidenceStore]) -> dict[str, bytes]:
    """The documents of a run whose folder is lost, from its places, the authority first; the journal last.

    A place whose snapshot holds has every document. Without such a place each document comes from the first place that
    has it, and there is no snapshot. Raises `errors.EvidenceUnknown` where a place cannot be read (it may hold the
    snapshot), `errors.EvidenceCorrupt` where two places differ in a document, or where no snapshot holds.
    """
    name = document_names.snapshot_name(plan.slug, plan.kind)
    own = [(place, names) for place in places if _is_of(place, names := set(place.names()), plan_sha256)]
    frozen = [verification.verify(place) for place, names in own if name in names]
    if frozen and all(finding.state is not soundness.EvidenceState.OK for finding in frozen):
        frozen[0].require()
    order = (
        document_names.PLAN,
        *document_names.adjudicated_names(plan.slug),
        document_names.REPORT,
        document_names.signature_name(plan.slug, plan.kind),
        *([name] if frozen else []),
        document_names.JOURNAL,
    )
    contents: dict[str, bytes] = {}
    for place, names in own:
        for document in names.intersection(order):
            content = place.read(document)
            if contents.setdefault(document, content) != content:
                raise errors.EvidenceCorrupt(f"two places of the run hold another {document}; nothing was published")
    return {document: contents[document] for document in order if document in contents}


def _is_of(place: ports.EvidenceStore, names: Collection[str], plan_sha256: str) -> bool:
    """Whether the documents of a place are the run's: a scope's folder may be another run's."""
    return document_names.PLAN in names and canonical.digest(place.read(document_names.PLAN)) == plan_sha256
