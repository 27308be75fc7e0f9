"""Bundles: the sound evidence of a run and of all its priors, as one file that verifies without a network."""

from burst import ports
from burst.adapters import archive
from burst.domain.basics import errors
from burst.domain.documents import document_names, run_records
from burst.evidence import full_verification, places, verification

_README = """Evidence of burst run {execution_id}

verdict     {word} ({reason})
phase       {phase}
scope       {scope}
snapshot    {execution_id}/{name}
sha256      {sha256}
priors      {priors}

Verify this file as it is, without a network:

    burst evidence verify FILE.zip

Or unpack it and verify the folder:

    unzip FILE.zip && burst evidence verify {execution_id}

Both read every document, compare it with the digest the snapshot names, and reach the verdict anew.
Exit code 0: sound, PASS. 3: sound, HOLD. 7: absent or incomplete. 8: integrity failed. 9: cannot tell,
as where the evidence of a prior is not in here.
To compare with another run: burst evidence diff OTHER FILE.zip
"""


def bundle(run: places.RunPlace, opener: places.Opener, *, priors: bool) -> bytes:
    """The bytes of a bundle: the same evidence gives the same bytes.

    Raises the error of the evidence's state (exit 7, 8 or 9) unless it is sound.
    """
    verified = full_verification.verify(run, opener, priors=priors)
    finding, snapshot = verified.finding, verified.finding.require_verdict().snapshot
    if snapshot.execution_id is None:
        raise errors.EvidenceUnknown("the snapshot names no execution id, so a bundle of it could not be told apart")
    execution_id = snapshot.execution_id
    contents = _collect_evidence(execution_id, run.store, finding)
    for link in verified.chain:
        if link.store is not None:
            contents |= _collect_evidence(link.execution_id, link.store, verification.verify(link.store))
    readme = _README.format(
        execution_id=execution_id,
        word="PASS" if snapshot.overall_pass else "HOLD",
        reason=snapshot.exit_reason,
        phase=snapshot.phase,
        scope=snapshot.platform_run_id,
        name=finding.name,
        sha256=finding.sha256,
        priors=", ".join(f"{link.execution_id} ({link.state})" for link in verified.chain) or "none",
    )
    described = run_records.BundleIndex(
        execution_id=execution_id,
        snapshot=str(finding.name),
        sha256=str(finding.sha256),
    )
    return archive.pack({**contents, "README.txt": readme.encode(), places.BUNDLE: described.content()})


def _collect_evidence(
    execution_id: str, store: ports.EvidenceStore, finding: verification.Verification
) -> dict[str, bytes]:
    """The documents a run's snapshot names, of the journal the prefix it names; the snapshot, report and signature.

    So the bundle of a run's own folder, whose journal goes on, and of a place it was published to are the same.
    """
    snapshot = finding.require_verdict().snapshot
    contents, kind = {ref.name: store.read(ref.name)[: ref.size] for ref in snapshot.evidence_refs}, snapshot.kind
    beside = (
        document_names.REPORT,
        finding.name,
        document_names.snapshot_name(finding.slug, kind),
        document_names.signature_name(finding.slug, kind),
    )
    contents |= {name: store.read(name) for name in store.names() if name in beside}
    return {f"{execution_id}/{name}": content for name, content in contents.items()}
