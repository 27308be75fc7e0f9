"""Inputs of a run that are documents: its baseline, the documents of its facts, the plan of a run in its folder."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from burst.adapters.local import folder_store
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import baselines
from burst.kit import files

_S3 = "s3://"


def document(address: str) -> bytes:
    """The bytes of a document on S3. Raises a `BurstError` where it cannot be read."""
    from burst.evidence import places

    parent, _, name = address.rpartition("/")
    return places.Opener().store(parent).read(name)


def baseline(plan: plans.Plan, now: datetime) -> tuple[bytes | None, baselines.Baseline | None]:
    """The baseline's document, where it is one, and what it says.

    Raises `errors.Refused` where it cannot be read, is not the one the plan names, or is too old.
    """
    if plan.baseline is None or plan.baseline.file is None:
        return None, baselines.from_inline(plan.baseline) if plan.baseline else None
    try:
        content = read_content(plan.baseline.file, "baseline")
        if plan.baseline.sha256 and canonical.digest(content) != plan.baseline.sha256:
            raise errors.Refused("it is not the one the plan names by digest")
        baseline_document = baselines.read(content)
        too_old = baselines.expiry_problem(baseline_document, plan.baseline, now)
        if too_old:
            raise errors.Refused(too_old)
    except errors.BurstError as exc:
        problem = str(exc) if isinstance(exc, errors.UsageError) else f"baseline {plan.baseline.file}: {exc}"
        blocker = plan.blocker(catalogues.Role.BASELINE)
        raise errors.Refused(
            f"{blocker}: {problem}; nothing was launched; make one with `burst baseline make RUN -o FILE`"
        ) from exc
    return content, baselines.from_document(baseline_document)


def frozen_plan(folder: Path) -> plans.Plan:
    """The plan of the run in a folder, as executed."""
    content = folder_store.FolderStore(folder).read(document_names.PLAN)
    return plans.read(content, source=str(folder / document_names.PLAN))


def frozen_baseline(plan: plans.Plan, store: folder_store.FolderStore) -> baselines.Baseline | None:
    """The baseline of the run in a folder; None where it has none, or none that can be read."""
    if plan.baseline is None or document_names.BASELINE not in store.names():
        return baselines.from_inline(plan.baseline) if plan.baseline else None
    try:
        return baselines.from_document(baselines.read(store.read(document_names.BASELINE)))
    except errors.BurstError:
        return None  # adjudication refuses it; the tasks still have to be settled


def read_content(reference: str, named: str) -> bytes:
    """The bytes of a document on S3, or of a file, of which an error says what `named` it. Raises a `BurstError`."""
    return document(reference) if reference.startswith(_S3) else files.read_named(Path(reference), named)
