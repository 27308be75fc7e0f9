"""Inputs on S3: baseline and prior snapshot of a plan, kept in the run's folder, and the documents its facts stand in.

A prior is a run's evidence, so it is verified as any consumer would: in every place of it that can be reached, and
along the chain of its own priors.
"""

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


def prior(plan: plans.Plan, reference: str) -> bytes:
    """The bytes of a prior snapshot whose evidence holds; `reference` is its run's place, or the snapshot in it.

    Raises `errors.Refused` where it does not hold, or cannot be told to.
    """
    opener = places.Opener()
    run = opener.run(reference.removesuffix(f"/{documents.snapshot_name(plan.slug)}"))
    finding = verifying.verify(run, opener).finding
    if finding.state is not verification.State.OK:
        raise errors.Refused(
            f"{plan.blocker('B4')}: rerun.prior {reference}: its evidence is {finding.state}: {finding.why}; "
            "nothing was launched"
        )
    return run.store.read(str(finding.name))
