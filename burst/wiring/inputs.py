"""Inputs of a run that lie elsewhere: its prior snapshot, its baseline on S3, and the documents its facts stand in.

A prior is a run's evidence, so it is verified as any consumer would: in every place of it that can be reached, and
along the chain of its own priors. Only a snapshot alone, of a run recorded elsewhere, is taken on its word; preflight
says so, and so does whoever verifies the rerun.
"""

import os
from datetime import datetime
from pathlib import Path

from burst import files
from burst.control import verification
from burst.domain import baseline as baselines
from burst.domain import canonical, documents, errors, snapshot
from burst.domain import plan as plans
from burst.evidence import places, verifying


def document(address: str) -> bytes:
    """The bytes of a document on S3. Raises a `BurstError` where it cannot be read."""
    parent, _, name = address.rpartition("/")
    return places.Opener().store(parent).read(name)


def baseline(plan: plans.Plan, now: datetime) -> tuple[bytes | None, baselines.Baseline | None]:
    """The baseline's document, where it is one, and what it says.

    Raises `errors.Refused` where it cannot be read, is not the one the plan names, or is too old.
    """
    if plan.baseline is None or plan.baseline.file is None:
        return None, baselines.from_inline(plan.baseline) if plan.baseline else None
    try:
        content = _content(plan.baseline.file, "baseline")
        if plan.baseline.sha256 and canonical.digest(content) != plan.baseline.sha256:
            raise errors.Refused("it is not the one the plan names by digest")
        found = baselines.read(content)
        too_old = baselines.expired(found, plan.baseline, now)
        if too_old:
            raise errors.Refused(too_old)
    except errors.BurstError as exc:
        what = str(exc) if isinstance(exc, errors.UsageError) else f"baseline {plan.baseline.file}: {exc}"
        raise errors.Refused(
            f"{plan.blocker('B5')}: {what}; nothing was launched; make one with `burst baseline make RUN -o FILE`"
        ) from exc
    return content, baselines.from_document(found)


def prior(plan: plans.Plan) -> bytes | None:
    """The bytes of the prior snapshot: of a run whose evidence holds, or of a snapshot alone; None where none is named.

    Raises `errors.Refused` where the evidence does not hold, cannot be told to, or is nothing this rerun can rest on;
    `errors.UsageError` where there is no such file, or the rerun names what is not open in it.
    """
    if plan.rerun is None or plan.rerun.prior is None:
        return None
    reference, place = plan.rerun.prior, run_behind(plan)
    try:
        content = _evidenced(plan, place) if place else files.given(Path(reference), "rerun.prior")
        snapshot.check_prior(plan, content)
    except errors.UsageError:
        raise
    except errors.BurstError as exc:
        raise errors.Refused(f"{plan.blocker('B4')}: rerun.prior {reference}: {exc}; nothing was launched") from exc
    return content


def run_behind(plan: plans.Plan) -> str | None:
    """The run whose evidence stands behind the plan's prior; None for a snapshot alone, and where there is no prior."""
    reference = plan.rerun.prior if plan.rerun else None
    if reference is None:
        return None
    name = documents.snapshot_name(plan.slug)
    if reference.startswith(places.S3):
        return reference.removesuffix(f"/{name}")
    if os.path.isdir(reference):
        return reference
    folder, file = os.path.split(reference)
    return folder or "." if file == name and os.path.isfile(os.path.join(folder, documents.PLAN)) else None


def _evidenced(plan: plans.Plan, place: str) -> bytes:
    """The snapshot of a run whose evidence holds, wherever it lies and as far back as it goes."""
    opener = places.Opener()
    run = opener.run(place)
    finding = verifying.verify(run, opener).finding
    if finding.state is not verification.State.OK:
        raise errors.Refused(f"its evidence is {finding.state}: {finding.why}")
    if finding.name == documents.unpublished_name(plan.slug):
        raise errors.Refused(f"{finding.why}; publish it first: burst resume {place}")
    return run.store.read(str(finding.name))


def _content(reference: str, named: str) -> bytes:
    return document(reference) if reference.startswith(places.S3) else files.given(Path(reference), named)
