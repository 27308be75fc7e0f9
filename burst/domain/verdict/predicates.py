"""Predicates that others read: a run's verdict as an in-toto test result, and as a verification summary (VSA).

Both copy what the evidence says, for tools that know no burst. The subject is the artifact that the burst was of, such
as a container image, or the snapshot itself where none is named. https://in-toto.io/attestation/test-result/v0.1 and
https://slsa.dev/verification_summary/v1 say what each field means.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from burst.domain.basics import canonical, errors, instants
from burst.domain.verdict import snapshot_sections, snapshots

STATEMENT = "https://in-toto.io/Statement/v1"
TEST_RESULT = "https://in-toto.io/attestation/test-result/v0.1"
VERIFICATION_SUMMARY = "https://slsa.dev/verification_summary/v1"
TYPES = {"test-result": TEST_RESULT, "vsa": VERIFICATION_SUMMARY}
"""The type of each predicate, by the word for it."""
VERIFIER = "urn:burst:verifier"
_SUBJECT = re.compile(r"(?P<name>\S+)@sha256:(?P<digest>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True, kw_only=True)
class TestedArtifact:
    """What the burst was of: its name and SHA-256."""

    name: str
    sha256: str

    @classmethod
    def read(cls, text: str) -> "TestedArtifact":
        """From `NAME@sha256:DIGEST`. Raises `errors.UsageError` for any other text."""
        match = _SUBJECT.fullmatch(text)
        if match is None:
            raise errors.UsageError(f"subject: saw {text[:200]!r}; allowed: NAME@sha256: and 64 hexadecimal digits")
        return cls(name=match["name"], sha256=match["digest"])

    def describe(self) -> dict[str, Any]:
        """As a ResourceDescriptor."""
        return {"name": self.name, "digest": {"sha256": self.sha256}}

    def __str__(self) -> str:
        return f"{self.name}@sha256:{self.sha256}"


def make_statement(word: str, predicate: dict[str, Any], artifacts: Sequence[TestedArtifact]) -> bytes:
    """The canonical bytes of a statement about the artifacts."""
    return canonical.encode(
        {
            "_type": STATEMENT,
            "subject": [artifact.describe() for artifact in artifacts],
            "predicateType": TYPES[word],
            "predicate": predicate,
        }
    )


def make_predicate(
    word: str, verdict: snapshots.Verdict, snapshot_name: str, artifact: TestedArtifact, at: datetime
) -> dict[str, Any]:
    """The predicate of that word. Raises as `make_verification_summary` does."""
    if word == "test-result":
        return make_test_result(verdict.snapshot)
    return make_verification_summary(verdict, snapshot_name, artifact, at)


def check_statement(content: bytes, verdict: snapshots.Verdict, snapshot_name: str, artifact: TestedArtifact) -> str:
    """The word of a statement's predicate, once the statement says of the artifact what the verdict says, and no more.

    The statement is made again from the verdict and compared; of a summary, the time is its own. Raises
    `errors.EvidenceCorrupt` with what differs, `errors.EvidenceUnknown` for a predicate of another type.
    """
    statement = canonical.decode(content)
    if not isinstance(statement, dict):
        raise errors.EvidenceCorrupt("the attestation is no in-toto statement: it is no JSON object")
    word = next((word for word, type_ in TYPES.items() if type_ == statement.get("predicateType")), None)
    if word is None:
        saw = str(statement.get("predicateType"))[:200]
        raise errors.EvidenceUnknown(f"the attestation's predicate is {saw!r}; allowed: {', '.join(TYPES.values())}")
    if statement.get("subject") != [artifact.describe()]:
        raise errors.EvidenceCorrupt(
            f"the attestation is of {_name_subjects(statement.get('subject'))}, and not of {artifact}"
        )
    predicate = statement.get("predicate")
    if not isinstance(predicate, dict):
        raise errors.EvidenceCorrupt("the attestation is no in-toto statement: its predicate is no JSON object")
    try:
        expected = make_predicate(word, verdict, snapshot_name, artifact, _read_time(predicate))
    except errors.Refused as exc:  # a summary that this evidence cannot have
        raise errors.EvidenceCorrupt(f"the attestation says other than the evidence: {exc}") from exc
    whole = {"_type": STATEMENT, "subject": statement["subject"], "predicateType": TYPES[word], "predicate": predicate}
    differing = [*_list_differing(expected, predicate), *_list_differing(whole, statement)]
    if differing:
        raise errors.EvidenceCorrupt(f"the attestation says other than the evidence: {', '.join(differing)}")
    return word


def _list_differing(expected: dict[str, Any], statement: dict[str, Any]) -> list[str]:
    """The names whose values differ, or that one of the two alone has. 1 is not true here, and null is a value."""
    return [
        name[:80]
        for name in sorted(expected.keys() | statement.keys())
        if name not in expected
        or name not in statement
        or canonical.encode(expected[name]) != canonical.encode(statement[name])
    ]


def _read_time(predicate: dict[str, Any]) -> datetime:
    """The instant that a summary tells as its own; any other for a test result, which tells none."""
    try:
        return instants.parse(str(predicate.get("timeVerified", "1970-01-01T00:00:00Z")))
    except ValueError as exc:
        raise errors.EvidenceCorrupt(f"the attestation's timeVerified: {exc}") from exc


def _name_subjects(subjects: Any) -> str:
    """Subjects as a statement has them, in words, whatever they are."""
    try:
        return ", ".join(f"{each['name']}@sha256:{each['digest']['sha256']}" for each in subjects)[:400]
    except (TypeError, KeyError, IndexError):
        return "subjects that have no name and SHA-256"


def make_test_result(snapshot: snapshots.Snapshot) -> dict[str, Any]:
    """The verdict as a test result: each gate is a test; an informational one that says no is a warning."""
    gates = snapshot.gates
    return {
        "result": "PASSED" if snapshot.overall_pass else "FAILED",
        "configuration": _list_configuration(snapshot),
        "passedTests": [_name(gate) for gate in gates if gate.status == "PASS"],
        "warnedTests": [_name(gate) for gate in gates if gate.status != "PASS" and gate.mode == "informational"],
        "failedTests": [
            *(_name(gate) for gate in gates if gate.status != "PASS" and gate.mode != "informational"),
            *(f"{entry.blocker}/blocker" for entry in snapshot.open_entries),
        ],
    }


def make_verification_summary(
    verdict: snapshots.Verdict, snapshot_name: str, artifact: TestedArtifact, at: datetime
) -> dict[str, Any]:
    """The verdict as a summary, with the digest of the contract that it was judged by as the policy's.

    Raises `errors.Refused` for a snapshot of before contracts: a summary without a policy says nothing.
    """
    snapshot = verdict.snapshot
    if snapshot.contract is None:
        raise errors.Refused(f"{snapshot.execution_id} states no contract, so a summary has no policy to name")
    return {
        "verifier": {"id": VERIFIER, "version": {snapshot.verifier["name"]: snapshot.verifier["version"]}},
        "timeVerified": instants.text(at),
        "resourceUri": artifact.name,
        "policy": {"uri": f"urn:burst:contract:{snapshot.phase}", "digest": {"sha256": snapshot.contract.sha256}},
        "inputAttestations": [{"uri": snapshot_name, "digest": {"sha256": verdict.sha256}}],
        "verificationResult": "PASSED" if snapshot.overall_pass else "FAILED",
        "verifiedLevels": ["BURST_PASS"] if snapshot.overall_pass else [],
    }


def _name(gate: snapshot_sections.GateEntry) -> str:
    return f"{gate.blocker}/{gate.name}"


def _list_configuration(snapshot: snapshots.Snapshot) -> list[dict[str, Any]]:
    """What the burst was asked for: plan and baseline by digest."""
    return [
        {"name": ref.name, "digest": {"sha256": ref.sha256}}
        for ref in snapshot.evidence_refs
        if ref.name in ("plan.json", "baseline.json")
    ]
