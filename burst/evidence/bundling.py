"""Bundles: the sound evidence of a run and of all that it rests on, as one file that verifies without a network."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from burst.adapters import archive
from burst.domain.basics import errors
from burst.domain.documents import run_records
from burst.domain.verdict import rollups
from burst.evidence import bundle_contents, full_verification, places

_README = """Evidence of burst run {execution_id}

verdict     {word} ({reason})
phase       {phase}
scope       {scope}
snapshot    {execution_id}/{name}
sha256      {sha256}
priors      {priors}
rests on    {rests_on}
families    {families}
{citations}
Verify this file as it is, without a network:

    burst evidence verify FILE.zip

Or unpack it and verify the folder:

    unzip FILE.zip && burst evidence verify {execution_id}

Both read every document, compare it with the digest the snapshot names, and reach the verdict anew.
Exit code 0: sound, PASS. 3: sound, HOLD. 7: absent or incomplete. 8: integrity failed. 9: cannot tell,
as where the evidence of a prior is not in here.
To compare with another run: burst evidence diff OTHER FILE.zip
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class BundleOrder:
    """The words and the families that a bundle has to hold beside its evidence."""

    citations: tuple[str, ...] = ()
    """The places in a text that cites it, in words; they are kept in its index and its README."""
    families: tuple[str, ...] = ()
    """The families of evidence that it has to hold."""


def bundle(run: places.RunPlace, opener: places.Opener, *, priors: bool, order: BundleOrder) -> bytes:
    """The bytes of a bundle: the same evidence gives the same bytes.

    Raises the error of the evidence's state (exit 7, 8 or 9) unless it is sound; `errors.EvidenceIncomplete` where a
    family that is asked for is missing.
    """
    verified = full_verification.verify(run, opener, priors=priors)
    finding, snapshot = verified.finding, verified.finding.shown
    if snapshot is None:
        finding.require_verdict()
        raise errors.EvidenceUnknown(f"{run.place} has no snapshot")
    if snapshot.execution_id is None:
        raise errors.EvidenceUnknown("the snapshot names no execution id, so a bundle of it could not be told apart")
    collected = bundle_contents.Collected()
    collected.add(snapshot.execution_id, run, verified, opener)
    families = collected.list_families(finding.rollup.snapshot if finding.rollup else None)
    _require_families(order.families, families)
    readme = _README.format(
        execution_id=snapshot.execution_id,
        word="PASS" if snapshot.overall_pass else "HOLD",
        reason=snapshot.exit_reason,
        phase=snapshot.phase,
        scope=snapshot.platform_run_id,
        name=finding.name,
        sha256=finding.sha256,
        priors=", ".join(f"{link.execution_id} ({link.state})" for link in verified.chain) or "none",
        rests_on=", ".join(f"{name} ({state})" for name, state in sorted(collected.rests_on.items())) or "nothing else",
        families="; ".join(f"{name}: {', '.join(ids)}" for name, ids in sorted(families.items()) if ids) or "none",
        citations="".join(f"cited in    {words}\n" for words in order.citations),
    )
    described = run_records.BundleIndex(
        execution_id=snapshot.execution_id,
        snapshot=str(finding.name),
        sha256=str(finding.sha256),
        citations=list(order.citations),
        families=families,
    )
    return archive.pack({**collected.contents, "README.txt": readme.encode(), places.BUNDLE: described.content()})


def _require_families(required: Sequence[str], families: Mapping[str, Sequence[str]]) -> None:
    """Raises `errors.EvidenceIncomplete` where no run of the bundle stands for a family."""
    missing = [family for family in required if not families.get(family)]
    if missing:
        parts = [f"{family} (a PASS of kind {' or '.join(sorted(rollups.FAMILY_KINDS[family]))})" for family in missing]
        held = "; ".join(f"{name}: {', '.join(ids)}" for name, ids in sorted(families.items()) if ids)
        raise errors.EvidenceIncomplete(
            f"incomplete: no evidence in it stands for {', '.join(parts)}; in it: {held or 'none of any family'}; "
            "nothing was written"
        )
