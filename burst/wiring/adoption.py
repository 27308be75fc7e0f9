"""Adoption: a folder takes over what another controller published of its run.

The authority's snapshot is the run's only one. A controller that was superseded, or that published too late, can never
publish its own: its folder takes the published documents, keeps its own in `superseded/NUMBER/`, and is then finished
as the folder of a takeover is. The journal is replaced last, so an adoption that a crash cut short is done again.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path

from burst import ports
from burst.adapters.local import folder_store, journal_file, run_lock
from burst.control import ownership
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.wiring import takeover
from burst.wiring.targets import ecs_places


def adopt(folder: Path, plan: plans.Plan, deadline: datetime, clock: ports.Clock) -> str | None:
    """Takes the published documents of a run into its folder, and says so in words.

    None where the authority has no sound snapshot of this run, cannot be read, or holds what the folder holds. Raises
    `errors.ControllerAtWork` while a controller is at work in the folder.
    """
    store = folder_store.FolderStore(folder)
    places = ecs_places.publication_places(plan, deadline, clock.now()) if plan.evidence.authority else ()
    published = _read_published(plan, store, places)
    if published is None or not _differing(store, plan, published):
        return None
    lock = run_lock.RunLock(folder, ownership.make_owner(clock))
    try:
        kept = _replace(store, plan, published, clock)
    finally:
        lock.release()
    return f"run {plan.execution_id} was published by another controller; its documents are here now, {kept}"


def _read_published(
    plan: plans.Plan, store: folder_store.FolderStore, places: Sequence[ports.EvidencePlace]
) -> Mapping[str, bytes] | None:
    """The documents of the run as the authority has them; None without a snapshot there."""
    try:
        if not places or document_names.snapshot_name(plan.slug, plan.kind) not in places[-1].names():
            return None
        plan_sha256 = canonical.digest(store.read(document_names.PLAN))
        documents = takeover.recover(plan, plan_sha256, places[::-1])
    except errors.BurstError:
        return None  # a publication meets the same place, and says what is wrong with it
    needed = {document_names.snapshot_name(plan.slug, plan.kind), document_names.JOURNAL}
    return documents if needed <= documents.keys() else None


def _differing(store: folder_store.FolderStore, plan: plans.Plan, published: Mapping[str, bytes]) -> list[str]:
    """The documents of the folder that the published ones exclude, the journal last."""
    names = set(store.names())
    own = {
        *document_names.adjudicated_names(plan.slug),
        document_names.REPORT,
        document_names.signature_name(plan.slug, plan.kind),
        document_names.snapshot_name(plan.slug, plan.kind),
    }
    differing = [name for name in sorted(own & names) if store.read(name) != published.get(name)]
    journal = published[document_names.JOURNAL]
    if store.read(document_names.JOURNAL)[: len(journal)] != journal:
        differing.append(document_names.JOURNAL)
    return differing


def _replace(
    store: folder_store.FolderStore, plan: plans.Plan, published: Mapping[str, bytes], clock: ports.Clock
) -> str:
    """Puts the published documents in the place of the folder's own; says where those are kept."""
    aside = store.make_aside()
    differing = _differing(store, plan, published)
    superseded = {document_names.unpublished_name(plan.slug, plan.kind), document_names.PUBLICATION}
    for name in [*sorted(superseded.intersection(store.names())), *differing]:
        if name != document_names.JOURNAL:
            store.set_aside(name, aside)
    for name, content in published.items():
        if name != document_names.JOURNAL:
            store.put_once(name, content)
    if document_names.JOURNAL in differing:
        content = published[document_names.JOURNAL]
        sibling = store.folder / f".{document_names.JOURNAL}.adopted"
        sibling.unlink(missing_ok=True)
        sibling.write_bytes(content)
        journal = journal_file.FileJournal.open(sibling, clock.now)
        takeover.note_recovered(journal, content)
        journal.close()
        store.set_aside(document_names.JOURNAL, aside, sibling)
    return f"this folder's own are kept in {aside}"
