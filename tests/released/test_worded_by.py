"""Worded by: another version's snapshot is held to all that it judged, and its sentences may differ from this one's."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import burst
from burst import evidence
from burst.cli import main
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, plans
from burst.domain.verdict import snapshots
from burst.evidence import soundness, verification
from tests import fakes_evidence
from tests.released.test_released import RUNS, _name, _slug

Leaf = tuple[str | int, ...]
State = soundness.EvidenceState

WORDS = frozenset(
    {
        "blocker_register.title",
        "blocker_register.why",
        "burst_execution_window.tasks.detail",
        "decision.early_stop.detail",
        "exit_reason",
        "gates.why",
        "runtime_budget.layers.detail",
        "runtime_budget.outages.detail",
    }
)
"""Every sentence of a snapshot; what is not here is judged."""
CLAIMS = frozenset({"verifier.name", "verifier.version"})
"""The maker that a snapshot names: only a signature proves it."""


def name(leaf: Leaf) -> str:
    """The fields on the way to a leaf, without the places in lists."""
    return ".".join(step for step in leaf if isinstance(step, str))


def leaves(value: Any, path: Leaf = ()) -> Iterator[Leaf]:
    """The way to each value that holds no others."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    inner = [leaf for key, part in parts for leaf in leaves(part, (*path, key))]
    yield from inner or [path]


def changed(value: Any) -> Any:
    """Another value of the same kind, where its kind has another."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return instants.text(instants.later(instants.parse(value), 1)) if _is_instant(value) else f"{value}0"
    return ["more"] if value == [] else {"more": 1} if value == {} else "some"


def _is_instant(text: str) -> bool:
    try:
        instants.parse(text)
    except ValueError:
        return False
    return True


def with_change(content: bytes, leaf: Leaf) -> bytes:
    """The snapshot with another value at one leaf."""
    document = json.loads(content)
    place = document
    for step in leaf[:-1]:
        place = place[step]
    place[leaf[-1]] = changed(place[leaf[-1]])
    return canonical.encode(document)


def evidence_of(run: Path) -> dict[str, bytes]:
    """The documents of a released run by name, without its lease."""
    return {path.name: path.read_bytes() for path in run.iterdir() if path.name != "control.json"}


def verify(contents: dict[str, bytes]) -> soundness.Verification:
    return verification.verify(fakes_evidence.MemoryEvidenceStore(contents))


@pytest.mark.parametrize("run", [run for run in RUNS if run.name in ("m10_hold", "m10_rerun")], ids=_name)
def test_every_leaf_of_another_versions_snapshot_is_a_sentence_or_judged(run: Path) -> None:
    contents, snapshot = evidence_of(run), document_names.snapshot_name(_slug(run), catalogues.Kind.BURST)
    passed: set[str] = set()
    refused: set[str] = set()

    for leaf in leaves(json.loads(contents[snapshot])):
        finding = verify({**contents, snapshot: with_change(contents[snapshot], leaf)})

        assert finding.state in (
            State.OK,
            State.REFUTED,
            State.CORRUPT,
            State.MISSING_DOCUMENT,
            State.UNSUPPORTED_SCHEMA,
        )
        (passed if finding.state is State.OK else refused).add(name(leaf))

    assert passed - CLAIMS <= WORDS
    assert passed >= CLAIMS
    assert {"exit_reason", "gates.why", "blocker_register.why", "blocker_register.title"} <= passed
    assert not refused & WORDS


@pytest.mark.parametrize("run", RUNS[:2], ids=_name)
def test_every_leaf_of_a_snapshot_of_this_version_is_held_to_its_bytes(run: Path) -> None:
    contents, snapshot = evidence_of(run), document_names.snapshot_name(_slug(run), catalogues.Kind.BURST)
    own = snapshots.Verdict.read(contents[snapshot]).snapshot.model_copy(
        update={"verifier": {"name": "burst", "version": burst.__version__}, "rules": "0.2.0"}
    )
    plan = plans.parse(contents[document_names.PLAN].decode(), source=document_names.PLAN)
    contents[snapshot] = snapshots.adjudicate_again(own, plan, contents[document_names.PLAN], contents).content
    assert verify(contents).state is State.OK

    sentences = [leaf for leaf in leaves(json.loads(contents[snapshot])) if name(leaf) in WORDS]

    assert len(sentences) > 20
    for leaf in sentences:
        assert verify({**contents, snapshot: with_change(contents[snapshot], leaf)}).state is State.REFUTED, leaf


@pytest.mark.parametrize("run", RUNS, ids=_name)
def test_a_released_run_gives_the_released_verdict_in_other_words(run: Path) -> None:
    contents = evidence_of(run)
    released = snapshots.Verdict.read(contents[document_names.snapshot_name(_slug(run), catalogues.Kind.BURST)])
    plan = plans.parse(contents[document_names.PLAN].decode(), source=document_names.PLAN)

    reached = snapshots.adjudicate_again(released.snapshot, plan, contents[document_names.PLAN], contents)

    assert snapshots.differing_sections(reached.snapshot, released.snapshot) == []
    theirs = leaves(json.loads(released.content))  # fields that came later are not in it
    differing = [leaf for leaf in theirs if _at(reached, leaf) != _at(released, leaf)]
    assert {name(leaf) for leaf in differing} in ({"gates.why"}, {"gates.why", "blocker_register.why"})
    assert reached.snapshot.document().keys() == json.loads(released.content).keys()


def _at(verdict: snapshots.Verdict, leaf: Leaf) -> Any:
    value: Any = json.loads(verdict.content)
    for step in leaf:
        value = value[step]
    return value


@pytest.mark.parametrize("run", RUNS, ids=_name)
def test_verify_says_who_worded_a_snapshot(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    in_words = main.main(["verify", str(run)])
    text = capsys.readouterr().out
    as_json = main.main(["verify", str(run), "--json"])
    value = json.loads(capsys.readouterr().out)

    assert in_words == as_json
    assert re.match(r"ok: (PASS|HOLD): .* \(worded by 0\.1\.0; its report\.html is not compared\)\n", text)
    assert (value["state"], value["worded_by"]) == ("ok", "0.1.0")


def test_a_figure_that_another_version_is_said_to_have_measured_is_refuted(tmp_path: Path) -> None:
    """The documents come before the signature: a forged figure is refuted, whoever signed."""
    run = next(path for path in RUNS if path.name == "m10_reference")
    contents = evidence_of(run)
    snapshot = document_names.snapshot_name(_slug(run), catalogues.Kind.BURST)
    document = json.loads(contents[snapshot])
    document["burst_load_checks"]["admit_ratio"]["value"] = 0.999
    (tmp_path / run.name).mkdir()
    for path, content in {**contents, snapshot: canonical.encode(document)}.items():
        (tmp_path / run.name / path).write_bytes(content)

    with pytest.raises(
        errors.EvidenceCorrupt, match="refuted: the documents give another snapshot; it differs in burst"
    ):
        evidence.verify(tmp_path / run.name).finding.require()
