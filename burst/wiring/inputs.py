"""Inputs of a run that lie elsewhere: its prior snapshot, its baseline on S3, and the documents its facts stand in.

A prior is a run's evidence, so it is verified as any consumer would: in every place of it that can be reached, and
along the chain of its own priors. Only a snapshot alone, of a run recorded elsewhere, is taken on its word; preflight
says so, and so does whoever verifies the rerun.
"""

import os
from pathlib import Path

from burst import files
from burst.control import verification
from burst.domain import documents, errors
from burst.domain import plan as plans
from burst.evidence import places, verifying


def is_on_s3(reference: str) -> bool:
    """Whether a plan names an S3 place."""
    return reference.startswith(places.S3)


def document(address: str) -> bytes:
    """The bytes of a document on S3. Raises a `BurstError` where it cannot be read."""
    parent, _, name = address.rpartition("/")
    return places.Opener().store(parent).read(name)


def baseline(plan: plans.Plan, reference: str) -> bytes:
    """The bytes of a baseline document. Raises `errors.Refused` where it cannot be read: nothing was launched."""
    try:
        return document(reference)
    except errors.BurstError as exc:
        raise errors.Refused(f"{plan.blocker('B5')}: baseline {reference}: {exc}; nothing was launched") from exc


def run_behind(plan: plans.Plan) -> str | None:
    """The run whose evidence stands behind the plan's prior; None for a snapshot alone, and where there is no prior."""
    reference = plan.rerun.prior if plan.rerun else None
    if reference is None:
        return None
    name = documents.snapshot_name(plan.slug)
    if is_on_s3(reference):
        return reference.removesuffix(f"/{name}")
    if os.path.isdir(reference):
        return reference
    folder, _, file = reference.rpartition("/")
    return folder or "." if file == name and os.path.isfile(os.path.join(folder, documents.PLAN)) else None


def prior(plan: plans.Plan, reference: str) -> bytes:
    """The bytes of the prior snapshot; `reference` is its run's place, the snapshot in it, or a snapshot alone.

    Raises `errors.Refused` where its evidence does not hold, or cannot be told to; `errors.UsageError` where there is
    no such file.
    """
    place = run_behind(plan)
    if place is None:
        return files.given(Path(reference), "rerun.prior")
    opener = places.Opener()
    run = opener.run(place)
    finding = verifying.verify(run, opener).finding
    refused = f"{plan.blocker('B4')}: rerun.prior {reference}"
    if finding.state is not verification.State.OK:
        raise errors.Refused(f"{refused}: its evidence is {finding.state}: {finding.why}; nothing was launched")
    if finding.name == documents.unpublished_name(plan.slug):
        raise errors.Refused(
            f"{refused}: {finding.why}; nothing was launched. Publish it first: burst resume {reference}"
        )
    return run.store.read(str(finding.name))
