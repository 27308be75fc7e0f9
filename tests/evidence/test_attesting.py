"""A verdict in the forms of others: said of sound evidence alone, and never better than it is."""

import base64
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.adapters import signing
from burst.cli import main
from burst.domain.basics import errors
from burst.domain.verdict import attestations, predicates
from tests import waiting
from tests.evidence import evidencing

PASSED, HELD = "m10_20260221T020923Z_000001", "m10_20260221T030923Z_000002"
IMAGE = f"ghcr.io/acme/ingest@sha256:{'a' * 64}"


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    folder = tmp_path / "runs"
    evidencing.folder(folder, PASSED, evidencing.published(evidencing.case(PASSED)))
    evidencing.folder(folder, HELD, evidencing.published(evidencing.case(HELD, passing=False)))
    return folder


def statement(run: Path, word: str, **wanted: Any) -> dict[str, Any]:
    """The statement about a run."""
    value: dict[str, Any] = json.loads(evidence.attest(run, word=word, **wanted))
    return value


def test_a_test_result_names_every_gate_and_the_configuration(runs: Path) -> None:
    passed, held = (statement(runs / name, "test-result") for name in (PASSED, HELD))

    assert passed["_type"] == "https://in-toto.io/Statement/v1"
    assert passed["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert (passed["predicate"]["result"], held["predicate"]["result"]) == ("PASSED", "FAILED")
    assert passed["predicate"]["failedTests"] == []
    assert "M10F-B1/admit_ratio" in passed["predicate"]["passedTests"]
    assert {"M10F-B1/admit_ratio", "M10F-B1/blocker"} <= set(held["predicate"]["failedTests"])
    assert {each["name"] for each in passed["predicate"]["configuration"]} == {"plan.json", "baseline.json"}
    verified = evidence.verify(runs / PASSED)
    assert passed["subject"] == [{"name": verified.finding.name, "digest": {"sha256": verified.finding.sha256}}]


def test_a_summary_names_the_contract_as_its_policy_and_the_snapshot_as_its_input(runs: Path) -> None:
    told = statement(runs / PASSED, "vsa", subject=IMAGE)

    snapshot = evidence.verify(runs / PASSED).snapshot
    assert told["predicateType"] == "https://slsa.dev/verification_summary/v1"
    assert told["subject"] == [{"name": "ghcr.io/acme/ingest", "digest": {"sha256": "a" * 64}}]
    summary = told["predicate"]
    assert snapshot.contract is not None
    assert summary["policy"]["digest"] == {"sha256": snapshot.contract.sha256}
    assert summary["inputAttestations"][0]["digest"] == {"sha256": evidence.verify(runs / PASSED).finding.sha256}
    assert (summary["verificationResult"], summary["verifiedLevels"]) == ("PASSED", ["BURST_PASS"])
    assert statement(runs / HELD, "vsa")["predicate"]["verifiedLevels"] == []


def test_a_signed_statement_is_by_the_key(runs: Path, tmp_path: Path) -> None:
    private, public = signing.generate_key_pair()
    (tmp_path / "key.pem").write_bytes(private)
    (tmp_path / "key.pem").chmod(0o600)
    (tmp_path / "key.pub").write_bytes(public)

    content = evidence.attest(runs / PASSED, word="vsa", key=f"file:{tmp_path / 'key.pem'}")

    envelope = attestations.read(content)
    assert signing.read_public_key(str(tmp_path / "key.pub")).check(envelope)
    assert json.loads(base64.b64decode(json.loads(content)["payload"]))["predicateType"] == predicates.TYPES["vsa"]


@pytest.mark.parametrize(
    "subject",
    ["ghcr.io/acme/ingest", "x@sha256:abc", f"@sha256:{'a' * 64}", f"a b@sha256:{'a' * 64}", f"x@sha256:{'A' * 64}"],
)
def test_a_subject_without_a_digest_is_refused(runs: Path, subject: str) -> None:
    with pytest.raises(errors.UsageError, match="64 hexadecimal digits"):
        evidence.attest(runs / PASSED, word="vsa", subject=subject)


def test_evidence_that_does_not_hold_is_attested_by_nobody(runs: Path, tmp_path: Path) -> None:
    facts = runs / PASSED / "m10_f_facts.json"
    facts.write_bytes(facts.read_bytes() + b" ")
    file = tmp_path / "vsa.json"

    code = main.main(["evidence", "attest", str(runs / PASSED), "--predicate", "vsa", "-o", str(file)])

    assert code == 8
    assert not file.exists()
    with pytest.raises(errors.EvidenceCorrupt):
        _ = evidence.verify(runs / PASSED).snapshot


def test_the_predicate_alone_is_for_a_tool_that_makes_the_statement(runs: Path, tmp_path: Path) -> None:
    file = tmp_path / "predicate.json"
    words = ["evidence", "attest", str(runs / HELD), "--predicate", "test-result", "--only-predicate", "-o", str(file)]

    assert main.main(words) == 0
    assert json.loads(file.read_bytes())["result"] == "FAILED"
    assert main.main(words) == 2  # nothing is overwritten
    assert main.main([*words, "--key", "file:x.pem"]) == 2


def test_the_account_of_sound_evidence_is_typed_and_a_run_without_one_says_so(runs: Path) -> None:
    with pytest.raises(errors.EvidenceIncomplete, match=r"has no m10_f_load\.json"):
        evidence.read_load(runs / PASSED)


def test_the_evidence_api_needs_no_cloud_and_no_database() -> None:
    heavy = ("boto3", "botocore", "sqlalchemy", "psycopg", "locust", "click", "rich")
    words = f"import sys, burst.evidence; print([name for name in {heavy} if name in sys.modules])"

    told = subprocess.run(
        [sys.executable, "-c", words], capture_output=True, text=True, check=True, timeout=waiting.PROCESS_SECONDS
    )

    assert told.stdout.strip() == "[]"
