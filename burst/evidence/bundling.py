"""Bundles: the sound evidence of a run and of the priors beside it, as one file that verifies without a network."""

from burst.adapters import archive
from burst.control import verification
from burst.domain import canonical, documents, errors
from burst.evidence import places, verifying

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
Exit code 0: sound, PASS. 3: sound, HOLD. 7: absent or incomplete. 8: integrity failed. 9: cannot tell.
To compare with another run: burst evidence diff OTHER FILE.zip
"""


def bundle(run: places.Run, opener: places.Opener) -> bytes:
    """The bytes of a bundle: the same evidence gives the same bytes.

    Raises the error of what is wrong (exit 7, 8 or 9) unless the evidence is sound.
    """
    verified = verifying.verify(run, opener, everywhere=False)
    snapshot = verified.finding.require().snapshot or {}
    execution_id = _id(snapshot)
    contents = {f"{execution_id}/{name}": run.store.read(name) for name in _evidence(run, snapshot)}
    for link in verified.chain:
        if link.state == "ok":
            contents |= _prior(run, link.execution_id)
    readme = _README.format(
        execution_id=execution_id,
        word="PASS" if snapshot["overall_pass"] else "HOLD",
        reason=snapshot["exit_reason"],
        phase=snapshot["phase"],
        scope=snapshot["platform_run_id"],
        name=verified.finding.name,
        sha256=verified.finding.sha256,
        priors=", ".join(f"{link.execution_id} ({link.state})" for link in verified.chain) or "none",
    )
    described = {
        "schema": "burst.bundle/v1",
        "execution_id": execution_id,
        "snapshot": verified.finding.name,
        "sha256": verified.finding.sha256,
    }
    return archive.write({**contents, "README.txt": readme.encode(), places.BUNDLE: canonical.encode(described)})


def _prior(run: places.Run, execution_id: str) -> dict[str, bytes]:
    """A prior that lies beside the run; nothing of one that lies elsewhere."""
    store = run.beside.store(execution_id)
    finding = verification.verify(store)
    if finding.snapshot is None:
        return {}
    beside = places.Run(place=execution_id, store=store, beside=run.beside)
    return {f"{execution_id}/{name}": store.read(name) for name in _evidence(beside, finding.snapshot)}


def _evidence(run: places.Run, snapshot: verifying.Json) -> list[str]:
    """What goes with a run: what its snapshot names, the snapshot, the report, and what signs them."""
    named = {ref["name"] for ref in snapshot["evidence_refs"]}
    return [
        name
        for name in run.store.names()
        if name in named or name == documents.REPORT or name.endswith((documents.snapshot_name(""), ".dsse.json"))
    ]


def _id(snapshot: verifying.Json) -> str:
    execution_id = snapshot["execution_id"]
    if not isinstance(execution_id, str):
        raise errors.EvidenceUnknown("the snapshot names no execution id, so a bundle of it could not be told apart")
    return execution_id
