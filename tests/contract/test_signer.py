"""The contract of `ports.Signer`, on the fake, on a key in a PEM file, and on a key in KMS as moto has it."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst import ports
from burst.adapters import signing
from burst.domain.basics import errors
from burst.domain.verdict import attestations
from burst.kit import aws
from tests import fakes, fakes_signing, publishing

PORT = ports.Signer


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A signer, its public key, and the public key of another."""

    signer: ports.Signer
    public_key: signing.PublicKey
    another: signing.PublicKey


def memory_stage() -> Stage:
    signer = fakes_signing.CountingSigner()
    return Stage(signer=signer, public_key=signer.public_key, another=fakes_signing.CountingSigner().public_key)


def file_stage(folder: Path) -> Stage:
    for name in ("own", "another"):
        private, public = signing.generate_key_pair()
        (folder / f"{name}.pem").write_bytes(private)
        (folder / f"{name}.pem").chmod(0o600)
        (folder / f"{name}.pem.pub").write_bytes(public)
    return Stage(
        signer=signing.open_signer(f"file:{folder / 'own.pem'}", fakes.TickingClock()),
        public_key=signing.read_public_key(str(folder / "own.pem.pub")),
        another=signing.read_public_key(str(folder / "another.pem.pub")),
    )


def kms_stage() -> Stage:
    kms = aws.client("kms")
    own, another = (
        kms.create_key(KeySpec="ECC_NIST_P384", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"] for _ in range(2)
    )
    return Stage(
        signer=signing.open_signer(f"kms:{own}", fakes.TickingClock()),
        public_key=signing.read_public_key(f"kms:{own}"),
        another=signing.read_public_key(f"kms:{another}"),
    )


@pytest.fixture(params=["memory", "file", "kms"])
def stage(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    made: dict[str, Callable[[], Stage]] = {
        "memory": memory_stage,
        "file": lambda: file_stage(tmp_path),
        "kms": kms_stage,
    }
    if request.param != "kms":
        yield made[request.param]()
        return
    with publishing.aws_in_this_process("eu-west-2", monkeypatch):
        yield made["kms"]()


@pytest.mark.parametrize("statement", [b"{}", b"", b'{"word":"\xc3\xa4"}'], ids=["short", "empty", "not ASCII"])
def test_an_envelope_holds_the_statement_and_a_signature_that_verifies(stage: Stage, statement: bytes) -> None:
    envelope = attestations.read(stage.signer.sign(statement))

    assert envelope.statement == statement
    assert [signature.keyid for signature in envelope.signatures] == [stage.signer.key_id]
    assert stage.public_key.check(envelope) == stage.signer.key_id


def test_a_signature_holds_for_no_other_statement_and_no_other_key(stage: Stage) -> None:
    envelope = attestations.read(stage.signer.sign(b'{"a":1}'))
    other = attestations.read(stage.signer.sign(b'{"a":2}'))
    swapped = other.model_copy(update={"signatures": envelope.signatures})

    with pytest.raises(errors.EvidenceCorrupt, match="does not hold"):
        stage.public_key.check(swapped)
    with pytest.raises(errors.EvidenceCorrupt, match="not by the key given"):
        stage.another.check(envelope)


def test_the_key_id_stays_the_same(stage: Stage) -> None:
    first = stage.signer.key_id
    stage.signer.sign(b"{}")

    assert stage.signer.key_id == first
    assert first
