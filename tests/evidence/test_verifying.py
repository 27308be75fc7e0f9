"""Verifying a run in a folder, in a bundle and on S3: every way of spoiling it has its state and its exit code."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.domain.basics import canonical
from burst.domain.documents import document_names
from tests import cases
from tests.evidence import evidencing
from tests.evidence.evidencing import SNAPSHOT
from tests.fixtures_aws import Cloud

State = evidence.EvidenceState
ID = evidencing.run_id(21)
Contents = dict[str, bytes]


def edited(contents: Contents, change: Callable[[dict[str, Any]], Any]) -> Contents:
    value = json.loads(contents[SNAPSHOT])
    change(value)
    return {**contents, SNAPSHOT: canonical.encode(value)}


def flipped(contents: Contents) -> Contents:
    content = bytearray(contents[cases.METRICS])
    content[len(content) // 2] ^= 1
    return {**contents, cases.METRICS: bytes(content)}


def forged_pass(contents: Contents) -> Contents:
    held = evidencing.published(evidencing.case(ID, passing=False, **CHANGES))
    return edited(held, lambda value: value.update(overall_pass=True, blockers=[], exit_code=0))


CHANGES: dict[str, Any] = {}
SPOILED: dict[str, tuple[Callable[[Contents], Contents], State, int]] = {
    "nothing": (lambda contents: contents, State.OK, 0),
    "a flipped byte": (flipped, State.CORRUPT, 8),
    "two documents swapped": (
        lambda contents: {**contents, cases.METRICS: contents[cases.FACTS], cases.FACTS: contents[cases.METRICS]},
        State.CORRUPT,
        8,
    ),
    "a document of another run, with its digest mended": (
        lambda contents: evidencing.resealed(
            contents, **{cases.METRICS: evidencing.case(evidencing.run_id(1)).contents[cases.METRICS]}
        ),
        State.REFUTED,
        8,
    ),
    "a document removed": (
        lambda contents: {name: content for name, content in contents.items() if name != cases.FACTS},
        State.MISSING_DOCUMENT,
        8,
    ),
    "a forged overall_pass": (forged_pass, State.REFUTED, 8),
    "an edited baseline": (
        lambda contents: {**contents, document_names.BASELINE: cases.baseline(admits=10, buckets=[])},
        State.CORRUPT,
        8,
    ),
    "an edited baseline, with its digest mended": (
        lambda contents: evidencing.resealed(
            contents, **{document_names.BASELINE: cases.baseline(admits=10, buckets=[])}
        ),
        State.REFUTED,
        8,
    ),
    "a re-canonicalised snapshot": (
        lambda contents: {**contents, SNAPSHOT: json.dumps(json.loads(contents[SNAPSHOT]), sort_keys=True).encode()},
        State.NOT_CANONICAL,
        8,
    ),
    "../ in a name": (
        lambda contents: edited(
            contents, lambda value: evidencing.ref(value, cases.FACTS).update(name=f"../{ID}/{cases.FACTS}")
        ),
        State.CORRUPT,
        8,
    ),
    "a schema of tomorrow": (
        lambda contents: edited(contents, lambda value: value.update(schema="burst.snapshot/v2")),
        State.UNSUPPORTED_SCHEMA,
        9,
    ),
    "no snapshot": (
        lambda contents: {name: content for name, content in contents.items() if name != SNAPSHOT},
        State.INCOMPLETE,
        7,
    ),
    "nothing at all": (lambda _: {}, State.ABSENT, 7),
}


@pytest.mark.parametrize("name", SPOILED)
def test_each_way_of_spoiling_a_folder_has_its_state(tmp_path: Path, name: str) -> None:
    spoil, state, exit_code = SPOILED[name]
    contents = spoil(evidencing.published(evidencing.case(ID)))

    found = evidence.verify(evidencing.folder(tmp_path, ID, contents))

    assert (found.finding.state, found.exit_code) == (state, exit_code)


@pytest.mark.parametrize("name", SPOILED)
def test_each_way_of_spoiling_run_control_has_its_state(cloud: Cloud, name: str) -> None:
    spoil, state, exit_code = SPOILED[name]
    contents = spoil(evidencing.published(evidencing.case(ID)))
    place = evidencing.on_s3(cloud.s3, f"{cloud.place}/control/{ID}", contents)

    found = evidence.verify(place, client=cloud.s3)

    assert (found.finding.state, found.exit_code) == (state, exit_code)


class TwoPlaces:
    """One run in run control and in the run-scoped place."""

    def __init__(self, cloud: Cloud) -> None:
        self._s3 = cloud.s3
        places = {"run_control": f"{cloud.place}/control", "run_scoped": f"{cloud.place}/runs"}
        self.contents = evidencing.published(evidencing.case(ID, evidence=places))
        self.control = self.put(f"{cloud.place}/control/{ID}", self.contents)
        self.scoped = self.put(f"{cloud.place}/runs/{cases.SCOPE}/m10", self.contents)

    def put(self, place: str, contents: Mapping[str, bytes]) -> str:
        return evidencing.on_s3(self._s3, place, contents)

    def remove(self, place: str, name: str) -> None:
        bucket, _, prefix = place.removeprefix("s3://").partition("/")
        self._s3.delete_object(Bucket=bucket, Key=f"{prefix}/{name}")

    def verify(self, place: str, **how: Any) -> evidence.Verified:
        return evidence.verify(place, client=self._s3, **how)


@pytest.fixture
def two(cloud: Cloud) -> TwoPlaces:
    return TwoPlaces(cloud)


def test_both_places_of_a_run_are_compared_from_either(two: TwoPlaces) -> None:
    from_control, from_scoped = two.verify(two.control), two.verify(two.scoped)

    assert (from_control.exit_code, from_scoped.exit_code) == (0, 0)
    assert [(copy.place, copy.state) for copy in from_control.copies] == [(two.scoped, "same")]
    assert [(copy.place, copy.state) for copy in from_scoped.copies] == [(two.control, "same")]


def test_a_place_with_other_bytes_has_diverged(two: TwoPlaces) -> None:
    two.put(two.scoped, {cases.FACTS: b"{}"})

    found = two.verify(two.control)

    assert (found.finding.state, found.exit_code) == (State.DIVERGED, 8)
    assert two.scoped in found.finding.why
    assert two.verify(two.control, everywhere=False).exit_code == 0


def test_without_the_authoritys_snapshot_nothing_was_committed(two: TwoPlaces) -> None:
    two.remove(two.control, SNAPSHOT)

    found = two.verify(two.scoped)

    assert (found.finding.state, found.exit_code) == (State.INCOMPLETE, 7)


def test_a_document_gone_from_the_other_place_is_missing(two: TwoPlaces) -> None:
    two.remove(two.scoped, cases.METRICS)

    found = two.verify(two.control)

    assert (found.finding.state, found.exit_code) == (State.MISSING_DOCUMENT, 8)


class Closed:
    """An S3 in which one prefix cannot be read."""

    def __init__(self, real: Any, prefix: str) -> None:
        self._real = real
        self._prefix = prefix

    def __getattr__(self, operation: str) -> Callable[..., Any]:
        def call(**parameters: Any) -> Any:
            if str(parameters.get("Key", parameters.get("Prefix"))).startswith(self._prefix):
                parameters["Bucket"] = "another-account"
            return getattr(self._real, operation)(**parameters)

        return call


def test_a_mirror_that_cannot_be_reached_is_said_and_the_authority_is_needed(two: TwoPlaces, cloud: Cloud) -> None:
    no_mirror, no_control = Closed(cloud.s3, f"{cloud.name}/runs"), Closed(cloud.s3, f"{cloud.name}/control")

    without_mirror = evidence.verify(two.control, client=no_mirror)
    without_control = evidence.verify(two.scoped, client=no_control)

    assert without_mirror.exit_code == 0
    assert [copy.state for copy in without_mirror.copies] == ["unreachable"]
    assert (without_control.finding.state, without_control.exit_code) == (State.UNKNOWN, 9)
    assert evidence.verify(two.control, client=no_mirror, everywhere=True).exit_code == 9


def test_a_folder_is_compared_with_its_places_when_asked_to_be(two: TwoPlaces, tmp_path: Path, cloud: Cloud) -> None:
    folder = evidencing.folder(tmp_path, ID, two.contents)
    two.put(two.scoped, {cases.FACTS: b"{}"})

    assert evidence.verify(folder).exit_code == 0
    found = evidence.verify(folder, everywhere=True, client=cloud.s3)
    assert (found.finding.state, found.exit_code) == (State.DIVERGED, 8)


def chain(passing: bool = True) -> dict[str, dict[str, bytes]]:
    """Three attempts, each a rerun of the one before."""
    found: dict[str, dict[str, bytes]] = {}
    prior = None
    for number in (1, 2, 3):
        execution_id = evidencing.run_id(number)
        last = number == 3
        found[execution_id] = evidencing.published(evidencing.case(execution_id, passing=last and passing, prior=prior))
        prior = found[execution_id][SNAPSHOT]
    return found


FIRST, SECOND, THIRD = (evidencing.run_id(number) for number in (1, 2, 3))


def test_the_chain_of_priors_is_walked_to_the_first_attempt(tmp_path: Path) -> None:
    for execution_id, contents in chain().items():
        evidencing.folder(tmp_path, execution_id, contents)

    found = evidence.verify(tmp_path / THIRD)

    assert [(link.execution_id, link.state) for link in found.chain] == [(SECOND, "ok"), (FIRST, "ok")]


@pytest.mark.parametrize("passing", [True, False], ids=["PASS", "HOLD"])
def test_nobody_can_tell_where_a_prior_is_not_to_be_had(tmp_path: Path, passing: bool) -> None:
    attempts = chain(passing)
    for execution_id in (SECOND, THIRD):
        evidencing.folder(tmp_path, execution_id, attempts[execution_id])

    found = evidence.verify(tmp_path / THIRD)

    assert (found.finding.state, found.exit_code) == (State.UNKNOWN, 9)
    assert FIRST in found.finding.why
    assert [(link.execution_id, link.state) for link in found.chain] == [(SECOND, "ok"), (FIRST, "not-here")]


def test_a_forged_prior_makes_no_pass_for_a_release(tmp_path: Path) -> None:
    """Whoever forges it can seal the rerun over it; what they cannot make is the run it claims to be of."""
    forged = json.loads(chain()[SECOND][SNAPSHOT])
    for entry in forged["blocker_register"]:
        if entry["blocker"] != "M10F-B1":
            entry.update(status="cleared", open=False)
    rerun = evidencing.published(evidencing.case(THIRD, prior=canonical.encode(forged)))
    folder = evidencing.folder(tmp_path, THIRD, rerun)

    found, believed = evidence.verify(folder), evidence.verify(folder, priors=False)

    assert (found.finding.state, found.exit_code) == (State.UNKNOWN, 9)
    assert found.chain[0].state == "not-here"
    assert (believed.exit_code, [link.state for link in believed.chain]) == (0, ["not-looked-at"])


def test_a_prior_that_cannot_be_reached_is_not_known_to_hold(cloud: Cloud) -> None:
    for execution_id, contents in chain().items():
        evidencing.on_s3(cloud.s3, f"{cloud.place}/control/{execution_id}", contents)
    closed = Closed(cloud.s3, f"{cloud.name}/control/{SECOND}")

    found = evidence.verify(f"{cloud.place}/control/{THIRD}", client=closed)

    assert (found.finding.state, found.exit_code) == (State.UNKNOWN, 9)
    assert [(link.execution_id, link.state) for link in found.chain] == [(SECOND, "unreachable")]


def test_a_prior_that_is_not_the_one_cited_breaks_the_chain(tmp_path: Path) -> None:
    for execution_id, contents in chain().items():
        evidencing.folder(tmp_path, execution_id, contents)
    other = evidencing.published(evidencing.case(FIRST, passing=True))
    for name, content in other.items():
        (tmp_path / FIRST / name).write_bytes(content)

    found = evidence.verify(tmp_path / THIRD)

    assert (found.finding.state, found.exit_code) == (State.CHAIN_BROKEN, 8)
    assert FIRST in found.finding.why


def test_a_prior_whose_evidence_fails_breaks_the_chain(tmp_path: Path) -> None:
    for execution_id, contents in chain().items():
        evidencing.folder(tmp_path, execution_id, contents)
    (tmp_path / SECOND / cases.METRICS).unlink()

    found = evidence.verify(tmp_path / THIRD)

    assert (found.finding.state, found.exit_code) == (State.CHAIN_BROKEN, 8)


def test_priors_on_s3_are_found_beside_the_run(cloud: Cloud) -> None:
    for execution_id, contents in chain().items():
        evidencing.on_s3(cloud.s3, f"{cloud.place}/control/{execution_id}", contents)

    found = evidence.verify(f"{cloud.place}/control/{THIRD}", client=cloud.s3)

    assert [(link.execution_id, link.state) for link in found.chain] == [(SECOND, "ok"), (FIRST, "ok")]


def test_a_further_check_can_refuse_sound_evidence(tmp_path: Path) -> None:
    def unsigned(found: evidence.HeldEvidence) -> None:
        if not any(name.endswith(".dsse.json") for name in found.names):
            raise evidence.NotSoundError(State.BAD_SIGNATURE, "no signature")

    folder = evidencing.folder(tmp_path, ID, evidencing.published(evidencing.case(ID)))

    found = evidence.verify(folder, checks=[unsigned])

    assert (found.finding.state, found.exit_code) == (State.BAD_SIGNATURE, 8)
