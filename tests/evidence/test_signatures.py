"""Signed evidence as a consumer verifies it: with the right key it holds, and nothing else does."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from burst import evidence
from burst.adapters import signing
from burst.domain.basics import canonical, errors
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.verdict import attestations, snapshots
from tests import cases, fakes
from tests.evidence import evidencing
from tests.evidence.evidencing import SNAPSHOT
from tests.fixtures_aws import Cloud

ID = evidencing.run_id(21)
NAME = document_names.signature_name("m10_f", catalogues.Kind.BURST)
State = evidence.EvidenceState
Contents = dict[str, bytes]


class Keys:
    """Two key pairs in files."""

    def __init__(self, folder: Path) -> None:
        self.private, self.public = self._pair(folder / "ours.pem")
        self.other, self.other_public = self._pair(folder / "other.pem")

    @staticmethod
    def _pair(path: Path) -> tuple[Path, Path]:
        public = path.with_name(f"{path.name}.pub")
        for file, content in zip((path, public), signing.generate_key_pair(), strict=True):
            file.write_bytes(content)
        path.chmod(0o600)
        return path, public

    def sign(self, contents: Contents, key: Path | None = None) -> Contents:
        """The documents with a signature over them."""
        verdict = snapshots.Verdict.read(contents[SNAPSHOT])
        subjects = attestations.subjects(SNAPSHOT, verdict, contents[document_names.REPORT])
        statement = attestations.statement(subjects, verdict.snapshot)
        signer = signing.open_signer(f"file:{key or self.private}", fakes.TickingClock())
        return {**contents, NAME: signer.sign(statement)}


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Keys:
    return Keys(tmp_path_factory.mktemp("keys"))


PLAIN = evidencing.published(evidencing.case(ID))
HELD = evidencing.published(evidencing.case(ID, passing=False))
ASKED = evidencing.published(evidencing.case(ID, evidence={"sign": {"key": "kms:alias/burst"}}))


def found(folder: Path, contents: Contents, key: Path | None, *, required: bool = True) -> evidence.Verified:
    """What verification finds of these documents, with a signature required where a key is given."""
    run = evidencing.folder(folder, ID, contents)
    return evidence.verify(run, key=str(key) if key else None, require_signature=required and key is not None)


@pytest.mark.parametrize(("contents", "exit_code"), [(PLAIN, 0), (HELD, 3)], ids=["pass", "hold"])
def test_signed_evidence_holds_with_its_key(tmp_path: Path, keys: Keys, contents: Contents, exit_code: int) -> None:
    verified = found(tmp_path, keys.sign(contents), keys.public)

    assert (verified.finding.state, verified.exit_code) == (State.OK, exit_code)
    assert verified.signature is not None
    assert verified.signature.state == "verified"


def _without(contents: Contents, name: str) -> Contents:
    return {each: content for each, content in contents.items() if each != name}


def _of_another_run(contents: Contents, keys: Keys) -> Contents:
    other = keys.sign(evidencing.published(evidencing.case(ID, passing=False)))
    return {**contents, NAME: other[NAME]}


def _another_type(contents: Contents, keys: Keys) -> Contents:
    value = json.loads(keys.sign(contents)[NAME])
    return {**contents, NAME: canonical.encode({**value, "payloadType": "application/json"})}


def _fewer_subjects(contents: Contents, keys: Keys) -> Contents:
    verdict = snapshots.Verdict.read(contents[SNAPSHOT])
    subjects = attestations.subjects(SNAPSHOT, verdict, None)
    signer = signing.open_signer(f"file:{keys.private}", fakes.TickingClock())
    return {**contents, NAME: signer.sign(attestations.statement(subjects, verdict.snapshot))}


SPOILED: dict[str, tuple[Callable[[Contents, Keys], Contents], str]] = {
    "absent": (lambda contents, keys: contents, "is not there, and a signature was required"),
    "another key": (lambda contents, keys: keys.sign(contents, keys.other), "not by the key given"),
    "a signature of another run": (_of_another_run, f"changed since it was signed: {SNAPSHOT}, {cases.METRICS}"),
    "another payload type": (_another_type, "the payload type is 'application/json'"),
    "a document that was not signed": (_fewer_subjects, "not signed: report.html"),
    "a signed document that is gone": (
        lambda contents, keys: _without(keys.sign(contents), document_names.REPORT),
        "signed and not there: report.html",
    ),
    "no envelope": (lambda contents, keys: {**contents, NAME: b"{}"}, "no DSSE envelope"),
}


@pytest.mark.parametrize("name", SPOILED)
def test_a_signature_that_does_not_hold_is_a_bad_signature(tmp_path: Path, keys: Keys, name: str) -> None:
    spoil, said = SPOILED[name]

    verified = found(tmp_path, spoil(PLAIN, keys), keys.public)

    assert (verified.finding.state, verified.exit_code) == (State.BAD_SIGNATURE, 8)
    assert said in verified.finding.why


@pytest.mark.parametrize("name", sorted(SPOILED.keys() - {"absent"}))
def test_a_bad_signature_is_bad_where_none_is_required(tmp_path: Path, keys: Keys, name: str) -> None:
    spoil, _ = SPOILED[name]

    assert found(tmp_path, spoil(PLAIN, keys), keys.public, required=False).exit_code == 8


@pytest.mark.parametrize("name", sorted(SPOILED.keys() - {"absent", "another key"}))
def test_what_a_signature_speaks_of_is_checked_without_any_key(tmp_path: Path, keys: Keys, name: str) -> None:
    spoil, _ = SPOILED[name]

    assert found(tmp_path, spoil(PLAIN, keys), None).exit_code == 8


def test_without_a_key_a_signature_is_shown_and_not_called_verified(tmp_path: Path, keys: Keys) -> None:
    verified = found(tmp_path, keys.sign(PLAIN), None)

    assert verified.exit_code == 0
    assert verified.signature is not None
    assert (verified.signature.state, len(verified.signature.key_ids)) == ("not-checked", 1)


def test_evidence_without_a_signature_holds_where_none_is_required(tmp_path: Path, keys: Keys) -> None:
    verified = found(tmp_path, PLAIN, keys.public, required=False)

    assert (verified.exit_code, verified.signature) == (0, evidence.Signed(state="absent"))


def test_a_signature_the_plan_asks_for_cannot_be_taken_away(tmp_path: Path, keys: Keys) -> None:
    verified = found(tmp_path, ASKED, None)

    assert (verified.finding.state, verified.exit_code) == (State.BAD_SIGNATURE, 8)
    assert "the plan asks for one" in verified.finding.why
    assert found(tmp_path / "signed", keys.sign(ASKED), None).exit_code == 0


def test_a_signature_required_of_nobody_in_particular_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(errors.UsageError, match="no key is named that it has to be by"):
        evidence.verify(tmp_path, require_signature=True)


def test_a_key_that_is_none_is_a_mistake_and_no_verdict(tmp_path: Path, keys: Keys) -> None:
    with pytest.raises(errors.UsageError, match="cannot be read"):
        found(tmp_path / "signed", keys.sign(PLAIN), tmp_path / "no.pub")
    with pytest.raises(errors.UsageError, match="cannot be read"):
        found(tmp_path / "unsigned", PLAIN, tmp_path / "no.pub", required=False)


@pytest.fixture(scope="module")
def signed_folder(tmp_path_factory: pytest.TempPathFactory, keys: Keys) -> Path:
    return evidencing.folder(tmp_path_factory.mktemp("runs"), ID, keys.sign(PLAIN))


@hypothesis.settings(max_examples=80, deadline=None)
@hypothesis.given(st.sampled_from([*sorted(PLAIN), NAME]), st.data())
def test_any_flipped_bit_of_any_document_or_of_the_envelope_is_refused(
    signed_folder: Path, keys: Keys, name: str, data: st.DataObject
) -> None:
    path = signed_folder / name
    whole = path.read_bytes()
    bit = data.draw(st.integers(0, len(whole) * 8 - 1))
    changed = bytearray(whole)
    changed[bit // 8] ^= 1 << (bit % 8)
    path.write_bytes(changed)

    try:
        code = evidence.verify(signed_folder, key=str(keys.public), require_signature=True).exit_code
    finally:
        path.write_bytes(whole)

    assert code in (8, 9)


def test_a_bundle_of_signed_evidence_verifies_with_the_key(tmp_path: Path, keys: Keys) -> None:
    run = evidencing.folder(tmp_path, ID, keys.sign(PLAIN))
    (tmp_path / "run.zip").write_bytes(evidence.bundle(run))

    verified = evidence.verify(tmp_path / "run.zip", key=str(keys.public), require_signature=True)

    assert verified.exit_code == 0


def test_another_signature_in_another_place_is_a_divergence(cloud: Cloud, keys: Keys) -> None:
    control, scoped = f"{cloud.place}/control", f"{cloud.place}/runs"
    case = evidencing.case(ID, evidence={"run_control": control, "run_scoped": scoped})
    contents = evidencing.published(case)
    first = evidencing.on_s3(cloud.s3, f"{control}/{ID}", keys.sign(contents))
    evidencing.on_s3(cloud.s3, f"{scoped}/{case.plan.scope}/m10", keys.sign(contents, keys.other))

    verified = evidence.verify(first, key=str(keys.public), require_signature=True, client=cloud.s3)

    assert (verified.finding.state, verified.exit_code) == (State.DIVERGED, 8)
    assert NAME in verified.finding.why


WITHOUT_EXTRA = """
import sys
sys.modules["securesystemslib"] = None
sys.modules["cryptography"] = None
from burst.cli import main
sys.exit(main.main(sys.argv[1:]))
"""


@pytest.mark.parametrize(
    ("words", "code"),
    [
        pytest.param((), 0, id="nothing asked"),
        pytest.param(("--key", "PUBLIC", "--require-signature"), 9, id="a signature required"),
    ],
)
def test_without_the_extra_verify_needs_it_only_to_check_a_signature(
    signed_folder: Path, keys: Keys, words: tuple[str, ...], code: int
) -> None:
    given = [str(keys.public) if word == "PUBLIC" else word for word in words]

    answer = subprocess.run(
        [sys.executable, "-c", WITHOUT_EXTRA, "verify", str(signed_folder), *given], capture_output=True, text=True
    )

    assert answer.returncode == code, answer.stderr
    assert ("pip install 'burst[sign]'" in answer.stdout) == (code == 9)
