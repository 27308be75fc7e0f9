"""Attestation: the statement that a signature covers, of a run's evidence, as an in-toto Statement in a DSSE envelope.

The statement names every document and the snapshot by digest, so that nothing can be changed, added or taken away
behind the signature. The snapshot cannot name the signature, because it is signed; a consumer that needs one asks for
it. An envelope has one form of bytes: bytes that do not encode to themselves again are refused, so no byte is free.
Keys belong to adapters; this module knows the signed statement, and whether it speaks of the evidence at hand.
"""

import base64
import binascii
from collections.abc import Mapping
from typing import Annotated, Literal

import pydantic

from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names, models
from burst.domain.verdict import snapshot_sections, snapshots

PAYLOAD_TYPE = "application/vnd.in-toto+json"


class Digests(models.Model):
    """Digests of one subject, lower-case hex."""

    sha256: models.Digest


class Subject(models.Model):
    """One document by digest; of the journal, the part that the snapshot names."""

    name: str
    """The file name of the document in the run's folder."""
    digest: Digests
    """The digest of its bytes; of the journal, of the part that the snapshot names."""


class Predicate(models.Model):
    """The verdict that the snapshot holds."""

    execution_id: str | None
    """The run; None where its snapshot names none."""
    phase: str
    """The phase of the run."""
    overall_pass: bool
    """Whether the snapshot is a PASS."""
    blockers: list[str]
    """The ids of the open blockers, sorted; none on PASS."""
    verifier: snapshot_sections.Verifier
    """The program and the version that reached the verdict."""


class Statement(models.Model):
    """The payload of a signature."""

    type_: Annotated[Literal["https://in-toto.io/Statement/v1"], pydantic.Field(alias="_type")]
    """The version of in-toto statements that the payload follows."""
    subject: list[Subject]
    """Every document of the evidence and the snapshot, by digest, in the order of their names."""
    predicate_type: Annotated[Literal["urn:burst:predicate:verdict:v1"], pydantic.Field(alias="predicateType")]
    """The kind of the predicate, and its version."""
    predicate: Predicate
    """The verdict that was signed."""


class Signature(models.Model):
    """One signature, base64, and the id of the key that made it."""

    keyid: str
    """The id of the key that signed, by which a verifier chooses its public key."""
    sig: str
    """The signature over type and payload (DSSE's PAE), in base64."""

    @property
    def raw(self) -> bytes:
        """The signature's bytes."""
        return _decode_base64(self.sig, "sig")


class Envelope(models.Model):
    """`{slug}_{kind}_snapshot.dsse.json`: a DSSE envelope."""

    payload: str
    """The signed statement, in base64."""
    payload_type: Annotated[
        str, pydantic.Field(alias="payloadType"), pydantic.WithJsonSchema({"const": PAYLOAD_TYPE, "type": "string"})
    ]
    """What the payload is: an in-toto statement."""
    signatures: Annotated[list[Signature], pydantic.Field(min_length=1)]
    """The signatures over the payload; burst writes one."""

    @property
    def statement(self) -> bytes:
        """The bytes that were signed, without their envelope."""
        return _decode_base64(self.payload, "payload")

    @property
    def signed(self) -> bytes:
        """The bytes a key signs: type and payload, each with its length, so that neither can pass for the other."""
        return pre_authentication(self.statement, self.payload_type)


def pre_authentication(payload: bytes, payload_type: str = PAYLOAD_TYPE) -> bytes:
    """DSSE's pre-authentication encoding, PAE, of
    https://github.com/secure-systems-lab/dsse/blob/v1.0.2/protocol.md."""
    kind = payload_type.encode()
    return b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload)


def envelope(statement: bytes, *, keyid: str, signature: bytes) -> bytes:
    """The bytes of an envelope with one signature."""
    return Envelope(
        payload=base64.b64encode(statement).decode(),
        payload_type=PAYLOAD_TYPE,
        signatures=[Signature(keyid=keyid, sig=base64.b64encode(signature).decode())],
    ).content()


def read(content: bytes) -> Envelope:
    """An envelope from its bytes. Raises `errors.EvidenceCorrupt` unless it is one, in its one form, of a statement."""
    try:
        envelope = Envelope.model_validate(canonical.decode(content))
    except pydantic.ValidationError as exc:
        field = ".".join(str(step) for step in exc.errors(include_input=False)[0]["loc"]) or "the document"
        raise errors.EvidenceCorrupt(f"no DSSE envelope: {field} is not as it should be") from exc
    if envelope.payload_type != PAYLOAD_TYPE:
        raise errors.EvidenceCorrupt(f"the payload type is {envelope.payload_type[:80]!r}, allowed is {PAYLOAD_TYPE!r}")
    again = Envelope(
        payload=base64.b64encode(envelope.statement).decode(),
        payload_type=envelope.payload_type,
        signatures=[
            Signature(keyid=signature.keyid, sig=base64.b64encode(signature.raw).decode())
            for signature in envelope.signatures
        ],
    )
    if again.content() != content:
        raise errors.EvidenceCorrupt("the envelope is not in its canonical form")
    return envelope


def _decode_base64(text: str, name: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise errors.EvidenceCorrupt(f"no DSSE envelope: {name} is not base64") from exc


def subjects(snapshot_name: str, verdict: snapshots.Verdict, report: bytes | None) -> dict[str, str]:
    """Name to SHA-256 of everything a signature over this snapshot has to speak of."""
    digests = {ref.name: ref.sha256 for ref in verdict.snapshot.evidence_refs}
    if report is not None:
        digests[document_names.REPORT] = canonical.digest(report)
    return {**digests, snapshot_name: verdict.sha256}


def make_subjects(digests: Mapping[str, str]) -> list[Subject]:
    """The subjects of a statement, in the order of their names."""
    return [Subject(name=name, digest=Digests(sha256=digests[name])) for name in sorted(digests)]


def statement(subjects: Mapping[str, str], snapshot: snapshots.Snapshot) -> bytes:
    """The canonical bytes of the statement over these subjects."""
    return Statement(
        type_="https://in-toto.io/Statement/v1",
        predicate_type="urn:burst:predicate:verdict:v1",
        subject=make_subjects(subjects),
        predicate=_predicate(snapshot),
    ).content()


def _predicate(snapshot: snapshots.Snapshot) -> Predicate:
    return Predicate(
        execution_id=snapshot.execution_id,
        phase=snapshot.phase,
        overall_pass=snapshot.overall_pass,
        blockers=snapshot.blockers,
        verifier=snapshot.verifier,
    )


def check(payload: bytes, subjects: Mapping[str, str], snapshot: snapshots.Snapshot) -> None:
    """Raises `errors.EvidenceCorrupt`, saying where, unless a statement speaks of exactly these subjects."""
    try:
        signed = Statement.model_validate(canonical.decode(payload))
    except pydantic.ValidationError as exc:
        raise errors.EvidenceCorrupt(f"the payload is no statement of burst: {models.first_problem(exc)}") from exc
    digests = {subject.name: subject.digest.sha256 for subject in signed.subject}
    if len(digests) != len(signed.subject):
        raise errors.EvidenceCorrupt("the signed statement names a document twice")
    differing = {
        "not signed": sorted(subjects.keys() - digests.keys()),
        "signed and not there": sorted(digests.keys() - subjects.keys()),
        "changed since it was signed": sorted(
            name for name in subjects.keys() & digests.keys() if subjects[name] != digests[name]
        ),
    }
    problems = "; ".join(f"{problem}: {', '.join(names)}" for problem, names in differing.items() if names)
    if problems:
        raise errors.EvidenceCorrupt(problems)
    if signed.predicate != _predicate(snapshot):
        raise errors.EvidenceCorrupt("the signed verdict is not the snapshot's")
