"""Signatures: only the very evidence that was signed passes, and every byte of it and of the envelope counts."""

import base64
import json
from collections.abc import Callable
from typing import Any

import hypothesis
import pytest
from cryptography.hazmat.primitives.asymmetric import ed25519
from hypothesis import strategies as st
from securesystemslib import dsse
from securesystemslib.signer import CryptoSigner, SSlibKey

from burst.adapters import signing
from burst.domain.basics import canonical, errors
from burst.domain.verdict import attestations
from tests import cases, json_schemas

NAME = "m10_f_burst_snapshot.json"
REPORT = b"<html></html>"
VERDICT = cases.passing().verdict()
VALUE: dict[str, Any] = json.loads(VERDICT.content)
SUBJECTS = attestations.subjects(NAME, VERDICT, REPORT)
KEY = ed25519.Ed25519PrivateKey.generate()
SIGNER = signing.KeySigner(CryptoSigner(KEY))
PUBLIC = signing.PublicKey(SIGNER.public_key)
ENVELOPE = SIGNER.sign(attestations.statement(SUBJECTS, VERDICT.snapshot))


def opened(content: bytes) -> attestations.Statement:
    """What an envelope says, once its form, its signature and its subjects hold."""
    envelope = attestations.read(content)
    PUBLIC.check(envelope)
    attestations.check(envelope.statement, SUBJECTS, VERDICT.snapshot)
    return attestations.Statement.model_validate(canonical.decode(envelope.statement))


def test_a_statement_names_every_document_the_report_and_the_snapshot_by_digest() -> None:
    said = json.loads(attestations.statement(SUBJECTS, VERDICT.snapshot))

    assert said["_type"] == "https://in-toto.io/Statement/v1"
    assert said["predicateType"] == "urn:burst:predicate:verdict:v1"
    assert {one["name"]: one["digest"]["sha256"] for one in said["subject"]} == {
        **{ref["name"]: ref["sha256"] for ref in VALUE["evidence_refs"]},
        "report.html": canonical.digest(REPORT),
        NAME: VERDICT.sha256,
    }
    assert said["predicate"] == {
        "execution_id": VALUE["execution_id"],
        "phase": "M10.F",
        "overall_pass": True,
        "blockers": [],
        "verifier": VALUE["verifier"],
    }


def test_what_was_signed_is_opened_by_its_key() -> None:
    assert opened(ENVELOPE).predicate.overall_pass is True


def test_an_envelope_is_one_that_other_tools_verify() -> None:
    foreign = dsse.Envelope.from_dict(json.loads(ENVELOPE))

    key = SSlibKey.from_crypto(KEY.public_key())
    assert foreign.verify([key], 1) == {key.keyid: key}
    assert foreign.payload_type == "application/vnd.in-toto+json"


def test_envelope_and_statement_fit_their_schemas() -> None:
    for kind, content in (("signature", ENVELOPE), ("statement", attestations.read(ENVELOPE).statement)):
        for form in ("strict", "lenient"):
            json_schemas.validator(kind, form).validate(json.loads(content))


@hypothesis.given(st.integers(0, len(ENVELOPE) * 8 - 1))
@hypothesis.settings(max_examples=400)
def test_any_flipped_bit_of_the_envelope_is_refused(bit: int) -> None:
    changed = bytearray(ENVELOPE)
    changed[bit // 8] ^= 1 << (bit % 8)

    with pytest.raises(errors.EvidenceCorrupt):
        opened(bytes(changed))


@hypothesis.given(st.sampled_from(sorted(SUBJECTS)), st.integers(0, 63), st.sampled_from("0123456789abcdef"))
def test_any_other_digest_of_any_document_is_refused(name: str, place: int, digit: str) -> None:
    digest = SUBJECTS[name]
    other = digest[:place] + digit + digest[place + 1 :]
    hypothesis.assume(other != digest)

    with pytest.raises(errors.EvidenceCorrupt, match=f"changed since it was signed: {name}"):
        attestations.check(attestations.read(ENVELOPE).statement, {**SUBJECTS, name: other}, VERDICT.snapshot)


@pytest.mark.parametrize("name", sorted(SUBJECTS))
def test_a_document_that_was_not_signed_and_one_that_is_gone_are_named(name: str) -> None:
    payload = attestations.read(ENVELOPE).statement
    fewer = {each: digest for each, digest in SUBJECTS.items() if each != name}

    with pytest.raises(errors.EvidenceCorrupt, match=f"signed and not there: {name}"):
        attestations.check(payload, fewer, VERDICT.snapshot)
    with pytest.raises(errors.EvidenceCorrupt, match=f"not signed: {name}"):
        attestations.check(attestations.statement(fewer, VERDICT.snapshot), SUBJECTS, VERDICT.snapshot)


def _resigned(change: Callable[[dict[str, Any]], object]) -> bytes:
    """An envelope signed by the right key around a changed statement."""
    value = json.loads(attestations.read(ENVELOPE).statement)
    change(value)
    return SIGNER.sign(canonical.encode(value))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        pytest.param(lambda value: value.update(_type="https://in-toto.io/Statement/v2"), "_type", id="type"),
        pytest.param(lambda value: value.update(predicateType="urn:other"), "predicateType", id="predicate type"),
        pytest.param(lambda value: value["predicate"].update(overall_pass=False), "verdict", id="another verdict"),
        pytest.param(lambda value: value["predicate"].update(blockers=["M10F-B1"]), "verdict", id="other blockers"),
        pytest.param(lambda value: value["subject"].append(value["subject"][0]), "twice", id="a subject twice"),
        pytest.param(lambda value: value.pop("subject"), "subject", id="no subjects"),
    ],
)
def test_another_statement_by_the_right_key_is_refused(change: Callable[[dict[str, Any]], object], said: str) -> None:
    with pytest.raises(errors.EvidenceCorrupt, match=said):
        opened(_resigned(change))


def test_a_statement_of_a_later_minor_version_is_read() -> None:
    assert opened(_resigned(lambda value: value.update(added_later=1))).predicate.phase == "M10.F"


def test_another_payload_type_is_refused_whoever_signed_it() -> None:
    payload = attestations.read(ENVELOPE).statement
    signature = KEY.sign(attestations.pre_authentication(payload, "text/plain"))
    value = {**json.loads(ENVELOPE), "payloadType": "text/plain"}
    value["signatures"][0]["sig"] = base64.b64encode(signature).decode()

    with pytest.raises(errors.EvidenceCorrupt, match="payload type is 'text/plain'"):
        attestations.read(canonical.encode(value))


def test_the_payload_type_is_part_of_what_is_signed() -> None:
    payload = attestations.read(ENVELOPE).statement
    signature = KEY.sign(attestations.pre_authentication(payload, "text/plain"))

    with pytest.raises(errors.EvidenceCorrupt, match="does not hold"):
        opened(attestations.envelope(payload, keyid=SIGNER.public_key.keyid, signature=signature))


def test_another_key_is_refused_by_both_ids() -> None:
    other = signing.KeySigner(CryptoSigner(ed25519.Ed25519PrivateKey.generate()))

    with pytest.raises(errors.EvidenceCorrupt) as refusal:
        opened(other.sign(attestations.statement(SUBJECTS, VERDICT.snapshot)))

    assert other.public_key.keyid[:16] in str(refusal.value)
    assert SIGNER.public_key.keyid[:16] in str(refusal.value)


def test_another_key_under_the_right_id_is_refused() -> None:
    payload = attestations.read(ENVELOPE).statement
    signature = ed25519.Ed25519PrivateKey.generate().sign(attestations.pre_authentication(payload))

    with pytest.raises(errors.EvidenceCorrupt, match="does not hold"):
        opened(attestations.envelope(payload, keyid=SIGNER.public_key.keyid, signature=signature))


def _edited(**changes: Any) -> bytes:
    return canonical.encode({**json.loads(ENVELOPE), **changes})


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"[]", id="a list"),
        pytest.param(ENVELOPE + b"\n", id="a line end"),
        pytest.param(json.dumps(json.loads(ENVELOPE), indent=1).encode(), id="spaces"),
        pytest.param(_edited(added=1), id="an unknown field"),
        pytest.param(_edited(signatures=[]), id="no signature"),
        pytest.param(_edited(payload="!"), id="payload no base64"),
        pytest.param(_edited(payload="YQ=\n="), id="a line end in base64"),
        pytest.param(_edited(signatures=[{"keyid": "k", "sig": "YR=="}]), id="loose bits in base64"),
    ],
)
def test_what_is_no_envelope_in_its_one_form_is_refused(content: bytes) -> None:
    with pytest.raises(errors.EvidenceCorrupt):
        attestations.read(content)
