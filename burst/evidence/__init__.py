"""The evidence of runs, for programs: `from burst import evidence`.

Everything named in `__all__` is public and follows semantic versioning; the rest of burst is not. A place is text or a
path: a run folder, a folder of runs, a bundle (`.zip`), or `s3://BUCKET/PREFIX`. Only verified evidence is believed:
`latest`, `ls`, `history` and `diff` show figures of sound evidence only.

    from burst import evidence

    verified = evidence.verify("runs/m10_20260221T020923Z_a1b2c3")
    if verified.exit_code == 0: ...                    # sound, and a PASS
    verified.finding.snapshot["blockers"]              # the snapshot as JSON; its model: `finding.verdict.snapshot`
    verified.snapshot.burst_load_checks.admit_ratio.value     # typed: a `Snapshot`
    evidence.read_load("runs/m10_20260221T020923Z_a1b2c3")    # its `LoadAccount`, from sound evidence
    newest = evidence.latest("s3://bucket/evidence/run_control", phase="M10.F")
    change = evidence.diff("runs/m10_one", "runs/m10_two")
    print(change.regressed, [gate.name for gate in change.gates if gate.turn])

Errors are those of `burst.domain.basics.errors`:
`EvidenceIncomplete`, `EvidenceCorrupt`, `EvidenceUnknown`, `UsageError`,
each with the `exit_code` the command ends with. `client`: a boto3 S3 client in place of one with burst's settings.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Collection, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from burst.domain.basics import canonical, errors
from burst.kit import files

if TYPE_CHECKING:
    from burst.domain.closure.closures import Closure
    from burst.domain.documents import risk_documents
    from burst.domain.documents.load_documents import Load as LoadAccount
    from burst.domain.verdict import owner_files
    from burst.domain.verdict.differences import Difference, GateChange, ValueChange
    from burst.domain.verdict.promotions import Promotion
    from burst.domain.verdict.snapshots import Snapshot
    from burst.evidence.attesting import Keyless, VerifiedAttestation
    from burst.evidence.closure_verification import VerifiedClosure
    from burst.evidence.full_verification import Copy, Link, Verified
    from burst.evidence.newest import Attempt, Step
    from burst.evidence.places import is_closure
    from burst.evidence.pruning import Fate, Keep
    from burst.evidence.signatures import Signed, Trust
    from burst.evidence.soundness import (
        EvidenceState,
        FurtherCheck,
        HeldEvidence,
        NotSoundError,
        Verification,
    )

__all__ = [
    "Attempt",
    "Closure",
    "Copy",
    "Difference",
    "EvidenceState",
    "Fate",
    "FurtherCheck",
    "GateChange",
    "HeldEvidence",
    "Keep",
    "Keyless",
    "Link",
    "LoadAccount",
    "NotSoundError",
    "Promotion",
    "Signed",
    "Snapshot",
    "Step",
    "Trust",
    "ValueChange",
    "Verification",
    "Verified",
    "VerifiedAttestation",
    "VerifiedClosure",
    "attest",
    "bundle",
    "diff",
    "difference_of",
    "history",
    "history_page",
    "is_closure",
    "latest",
    "ls",
    "promote",
    "prune",
    "publish_site",
    "read_load",
    "risks",
    "site",
    "unsound",
    "verify",
    "verify_attestation",
    "verify_closure",
    "verify_promotion",
]

Place = str | Path

_HOMES = {
    "Closure": "burst.domain.closure.closures:Closure",
    "LoadAccount": "burst.domain.documents.load_documents:Load",
    "Difference": "burst.domain.verdict.differences:Difference",
    "GateChange": "burst.domain.verdict.differences:GateChange",
    "ValueChange": "burst.domain.verdict.differences:ValueChange",
    "Promotion": "burst.domain.verdict.promotions:Promotion",
    "Snapshot": "burst.domain.verdict.snapshots:Snapshot",
    "Keyless": "burst.evidence.attesting:Keyless",
    "VerifiedAttestation": "burst.evidence.attesting:VerifiedAttestation",
    "VerifiedClosure": "burst.evidence.closure_verification:VerifiedClosure",
    "is_closure": "burst.evidence.places:is_closure",
    "Copy": "burst.evidence.full_verification:Copy",
    "Link": "burst.evidence.full_verification:Link",
    "Verified": "burst.evidence.full_verification:Verified",
    "Attempt": "burst.evidence.newest:Attempt",
    "Step": "burst.evidence.newest:Step",
    "Fate": "burst.evidence.pruning:Fate",
    "Keep": "burst.evidence.pruning:Keep",
    "Signed": "burst.evidence.signatures:Signed",
    "Trust": "burst.evidence.signatures:Trust",
    "EvidenceState": "burst.evidence.soundness:EvidenceState",
    "FurtherCheck": "burst.evidence.soundness:FurtherCheck",
    "HeldEvidence": "burst.evidence.soundness:HeldEvidence",
    "NotSoundError": "burst.evidence.soundness:NotSoundError",
    "Verification": "burst.evidence.soundness:Verification",
}
"""Where each public name stands that is no function of this module."""


def __getattr__(name: str) -> Any:
    """A public name, imported when it is first asked for: who verifies one run needs no closure and no bundle."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, _, attribute = _HOMES[name].partition(":")
    return getattr(importlib.import_module(module), attribute)


def verify(
    run: Place,
    *,
    key: str | None = None,
    require_signature: bool = False,
    everywhere: bool | None = None,
    priors: bool = True,
    checks: Collection[FurtherCheck] = (),
    client: Any = None,
) -> Verified:
    """Whether the evidence of a run holds: digests, form, the verdict reached anew, other places, priors.

    Never raises for the state of the evidence: the result holds it. `everywhere` None compares the run's other places
    where `run` is one of them; True in any case; False never. Evidence in a folder or a bundle is then verified without
    a network.
    A run that cites a prior is `unknown` unless the evidence of every prior back to the first attempt holds too;
    without `priors` none is looked at, and blockers carried from them are believed.
    With `key` (a PEM file with a public key, or `kms:ARN`) a signature that is there has to be by it; with
    `require_signature` there has to be one. Raises `errors.UsageError` for a bad place or key.
    """
    from burst.evidence import full_verification, places
    from burst.evidence.signatures import Trust

    trust = Trust(key=key, required=require_signature)
    opener = places.Opener(client=client)
    try:
        opened = opener.run(run)
    except errors.UsageError:
        raise
    except errors.BurstError as exc:
        return unsound(run, exc)
    return full_verification.verify(
        opened, opener, everywhere=everywhere, priors=priors, trust=trust, checks=tuple(checks)
    )


def verify_closure(
    place: Place,
    search: Collection[Place] = ("runs",),
    *,
    key: str | None = None,
    require_signature: bool = False,
    client: Any = None,
) -> VerifiedClosure:
    """Whether a closure (`NAME_closure.json`) holds: its evidence is verified, scored again, and the bytes compared.

    Cited evidence is looked for as it is cited, beside the closure, and in the places of `search`. Never raises for the
    state of the closure; raises `errors.UsageError` for a bad place or key.
    """
    from burst.evidence import closure_verification, places
    from burst.evidence.signatures import Trust

    trust = Trust(key=key, required=require_signature)
    opener = places.Opener(client=client)
    return closure_verification.verify(str(place), opener, search=[str(folder) for folder in search], trust=trust)


def latest(
    place: Place,
    *,
    phase: str | None = None,
    scope: str | None = None,
    key: str | None = None,
    require_signature: bool = False,
    now: datetime | None = None,
    everywhere: bool | None = None,
    priors: bool = True,
    max_age_seconds: float | None = None,
    client: Any = None,
) -> Attempt:
    """The newest attempt under a place, verified, whatever its state: never an older one instead.

    Raises `errors.EvidenceIncomplete` where there is none, `errors.EvidenceUnknown` where that cannot be told. `now`
    says where in time to look first, and changes no answer but the age: with `max_age_seconds` sound evidence that is
    older is `too-old` (exit 7).
    """
    from burst.evidence import ages, newest, places
    from burst.evidence.newest import Attempt
    from burst.evidence.signatures import Trust

    opener, moment = places.Opener(client=client), now or datetime.now(UTC)
    attempt = newest.latest(
        str(place),
        opener,
        newest.Filter(phase=phase, scope=scope, now=moment),
        everywhere=everywhere,
        priors=priors,
        trust=Trust(key=key, required=require_signature),
    )
    if max_age_seconds is None:
        return attempt
    verified = ages.hold_to_age(attempt.execution_id, attempt.verified, max_age_seconds, moment)
    return Attempt(execution_id=attempt.execution_id, verified=verified)


def ls(
    place: Place,
    *,
    phase: str | None = None,
    scope: str | None = None,
    limit: int = 20,
    before: str | None = None,
    priors: bool = True,
    now: datetime | None = None,
    client: Any = None,
) -> list[Attempt]:
    """At most `limit` runs under a place, the newest first, verified; those older than `before` where given."""
    from burst.evidence import newest, places

    opener = places.Opener(client=client)
    return newest.page(
        str(place),
        opener,
        newest.Filter(phase=phase, scope=scope, now=now or datetime.now(UTC)),
        limit=limit,
        before=before,
        priors=priors,
    )


def history(
    place: Place,
    *,
    phase: str,
    scope: str | None = None,
    limit: int = 20,
    priors: bool = True,
    now: datetime | None = None,
    client: Any = None,
) -> list[Step]:
    """The last `limit` attempts of a phase, the oldest first, each with the changes from the one before."""
    from burst.evidence import newest

    return newest.history(ls(place, phase=phase, scope=scope, limit=limit, priors=priors, now=now, client=client))


def diff(before: Place, after: Place, *, priors: bool = True, client: Any = None) -> Difference:
    """The changes from one run to another, both verified.

    Raises the error of evidence that is not sound (exit 7, 8, 9).
    """

    return difference_of(verify(before, priors=priors, client=client), verify(after, priors=priors, client=client))


def difference_of(before: Verified, after: Verified) -> Difference:
    """The changes between two verified runs. Raises as `diff` does; where neither is sound, corruption comes first."""
    from burst.domain.verdict import differences

    corrupt_first = sorted((before, after), key=lambda run: run.exit_code != errors.EvidenceCorrupt.exit_code)
    for verified in corrupt_first:
        try:
            verified.finding.require()
        except errors.BurstError as exc:
            raise type(exc)(f"{verified.place}: {exc}") from exc
    return differences.compare(before.finding.require_verdict().snapshot, after.finding.require_verdict().snapshot)


def read_load(run: Place, *, priors: bool = True, client: Any = None) -> LoadAccount:
    """The load account of a run whose evidence is sound: events due, sent and answered, each second of each task.

    Raises the error of evidence that is not sound, `errors.EvidenceIncomplete` for a run without an account.
    """
    from burst.domain.documents import document_names, models
    from burst.domain.documents.load_documents import Load
    from burst.evidence import full_verification, places

    opener = places.Opener(client=client)
    opened = opener.run(run)
    verified = full_verification.verify(opened, opener, priors=priors)
    snapshot = verified.finding.require_verdict().snapshot
    name = document_names.load_name(verified.finding.slug)
    digests = {ref.name: ref.sha256 for ref in snapshot.evidence_refs}
    if name not in digests:
        raise errors.EvidenceIncomplete(f"{snapshot.execution_id} has no {name}")
    content = opened.store.read(name)
    if canonical.digest(content) != digests[name]:
        raise errors.EvidenceCorrupt(f"{name} changed while it was read")
    return models.read(Load, content)


def attest(
    run: Place,
    *,
    word: str,
    subject: str | None = None,
    key: str | Keyless | None = None,
    only_predicate: bool = False,
    now: datetime | None = None,
    tell: Callable[[str], None] = lambda _: None,
    client: Any = None,
) -> bytes:
    """The verdict of a run as an in-toto `test-result` or a `vsa`: the statement, with `key` in a DSSE envelope, with
    `Keyless()` in a Sigstore bundle.

    `subject` is `NAME@sha256:DIGEST`; `tell` is given the signer in words. Raises the error of evidence that is not
    sound, `errors.UsageError`, and `errors.Refused` or `errors.Unavailable` where Sigstore's services do not sign.
    """
    from burst.evidence import attesting

    order = attesting.AttestationOrder(word=word, subject=subject, signer=key, only_predicate=only_predicate)
    return attesting.attest(verify(run, client=client), order, now or datetime.now(UTC), tell)


def verify_attestation(
    file: Path,
    run: Place,
    *,
    identity: str,
    issuer: str,
    subject: str | None = None,
    keyless: Keyless | None = None,
    client: Any = None,
) -> VerifiedAttestation:
    """The attestation in a Sigstore bundle, once it is by that identity of that issuer and says what the evidence says.

    Raises the error of evidence that is not sound, `errors.EvidenceCorrupt` with what does not hold,
    `errors.EvidenceUnknown` where it cannot be told, and `errors.UsageError`.
    """
    from burst.adapters.keyless import ExpectedSigner
    from burst.evidence import attesting

    content = files.read_named(Path(file), "FILE")
    services = (keyless or attesting.Keyless()).read_services()
    signer = ExpectedSigner(identity=identity, issuer=issuer)
    return attesting.verify_attestation(content, verify(run, client=client), signer, subject, services)


def bundle(
    run: Place,
    *,
    priors: bool = True,
    citations: Sequence[str] = (),
    families: Sequence[str] = (),
    client: Any = None,
) -> bytes:
    """One zip file of a run's evidence and of all that it rests on, which verifies without a network.

    That is its priors, the phases it required, and the lanes of a roll-up. Without `priors` theirs stays out. The same
    evidence gives the same bytes. `citations` are kept in it. Raises the error of its state (exit 7, 8, 9) unless it is
    sound, and `EvidenceIncomplete` where no run in it stands for one of the `families`.
    """
    from burst.evidence import bundling, places

    opener = places.Opener(client=client)
    order = bundling.BundleOrder(citations=tuple(citations), families=tuple(families))
    return bundling.bundle(opener.run(run), opener, priors=priors, order=order)


def risks(
    place: Place,
    *,
    phase: str | None = None,
    scope: str | None = None,
    limit: int = 1000,
    owners: owner_files.OwnerFile | None = None,
    owners_sha256: str | None = None,
    now: datetime | None = None,
    client: Any = None,
) -> risk_documents.RiskRegister:
    """The risk register of the newest `limit` runs under a place: a row for each gate that slipped.

    Raises `errors.EvidenceIncomplete` where there is no run.
    """
    from burst.evidence import newest, places, risk_register

    return risk_register.make_register(
        str(place),
        places.Opener(client=client),
        newest.Filter(phase=phase, scope=scope, now=now or datetime.now(UTC)),
        limit=limit,
        owners=owners,
        owners_sha256=owners_sha256,
    )


def prune(
    place: Place,
    *,
    keep: Keep,
    really: bool = False,
    now: datetime | None = None,
    tell: Callable[[str], None] = lambda _: None,
    client: Any = None,
) -> list[Fate]:
    """The fate of every run under a place; with `really` it is carried out, each after its receipt.

    `tell` is given the progress in words.

    Snapshots are never removed. Raises `errors.EvidenceUnknown` or `errors.EvidenceCorrupt`, and removes nothing, where
    one snapshot cannot be read; `errors.Conflict` where a document changed meanwhile.
    """
    from burst.evidence import places, pruning

    opener, moment = places.Opener(client=client), now or datetime.now(UTC)
    fates = pruning.decide(str(place), opener, keep=keep, now=moment, tell=tell)
    if really:
        for fate in pruning.remove(str(place), opener, fates, now=moment):
            tell(f"removed {', '.join(document.name for document in fate.documents)} of {fate.execution_id}")
    return fates


def promote(
    runs: Sequence[Place],
    *,
    measure: str = "latency_p95",
    gate: str | None = None,
    key: str | None = None,
    client: Any = None,
) -> Promotion:
    """The promotion, or the refusal, of a block of runs, whatever their order; its `content()` is the document.

    Raises `errors.UsageError` where they are no block, and the error of the evidence (exit 7, 8, 9) where that of one
    does not hold.
    """
    from burst.evidence import places, promoting
    from burst.evidence.signatures import Trust

    return promoting.promote(
        [str(run) for run in runs],
        places.Opener(client=client),
        measure=measure,
        gate=gate,
        trust=Trust(key=key),
        now=datetime.now(UTC),
    )


def verify_promotion(
    file: Path,
    search: Sequence[Place],
    *,
    key: str | None = None,
    require_signature: bool = False,
    client: Any = None,
) -> Promotion:
    """The promotion in a file, derived again from the runs that it cites, which are looked for in the places of
    `search`.

    Raises `errors.EvidenceCorrupt` where another comes of them, `errors.EvidenceUnknown` where one is not to be had.
    """
    from burst.evidence import places, promoting
    from burst.evidence.signatures import Trust

    content = files.read_named(Path(file), "FILE")
    promoting.check_signature(Path(file), content, Trust(key=key, required=require_signature))
    opener = places.Opener(client=client)
    return promoting.derive_again(
        content, [str(place) for place in search], opener, trust=Trust(key=key), now=datetime.now(UTC)
    )


def site(
    place: Place,
    *,
    phase: str | None = None,
    limit: int = 100,
    priors: bool = True,
    now: datetime | None = None,
    client: Any = None,
) -> dict[str, bytes]:
    """The files of a site of the newest `limit` runs under a place, by name, all for one folder.

    `index.html` leads to a page for each phase, and that to the report of each run whose evidence is sound. `now` is
    the instant from which ages are told.
    """
    from burst.evidence import newest, places, site_pages

    run_filter = newest.Filter(phase=phase, now=now or datetime.now(UTC))
    return site_pages.build(str(place), places.Opener(client=client), run_filter, limit=limit, priors=priors)


def history_page(place: Place, phase: str, steps: Sequence[Step], *, now: datetime | None = None) -> bytes:
    """The history of a phase as one HTML page, with the trend of its figures."""
    from burst.evidence import site_pages

    attempts = [step.attempt for step in reversed(steps)]
    return site_pages.render_history(str(place), phase, attempts, now or datetime.now(UTC))


def publish_site(folder: str, files: Mapping[str, bytes], *, client: Any = None) -> None:
    """Writes the files of a site under an `s3://` folder, each once and `index.html` last.

    The same bytes again are a success. Raises `errors.Conflict` where a name holds other bytes.
    """
    from burst.evidence import places, site_pages

    store = places.Opener(client=client).store(folder)
    for name in sorted(files, key=lambda name: (name == site_pages.INDEX, name)):
        store.put_once(name, files[name])


def unsound(place: Place, failure: errors.BurstError) -> Verified:
    """The result of verification for a place where an error of this module came first."""
    from burst.evidence.full_verification import Verified
    from burst.evidence.soundness import EvidenceState, Verification

    states = {
        errors.EvidenceIncomplete.exit_code: EvidenceState.ABSENT,
        errors.EvidenceCorrupt.exit_code: EvidenceState.CORRUPT,
    }
    state = states.get(failure.exit_code, EvidenceState.UNKNOWN)
    return Verified(place=str(place), finding=Verification(state=state, why=str(failure).removeprefix(f"{state}: ")))
