"""`latest --max-age`: a schedule whose runs no longer come is heard of, and nothing but a fresh sound run is quiet."""

import json
from datetime import datetime
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from burst import evidence
from burst.cli import main
from burst.domain.basics import instants
from burst.evidence import ages
from burst.wiring import campaign_rollups
from tests import cases
from tests.evidence import evidencing, test_rollups

ENDED = instants.parse(cases.task_result()["stopped_utc"])
State = evidence.EvidenceState
DAY_SECONDS = 86400.0


def _place(folder: Path, *, passing: bool = True) -> Path:
    execution_id = evidencing.run_id(21)
    evidencing.folder(folder, execution_id, evidencing.published(evidencing.case(execution_id, passing=passing)))
    return folder


@pytest.fixture(scope="module")
def verified(tmp_path_factory: pytest.TempPathFactory) -> evidence.Verified:
    return evidence.latest(_place(tmp_path_factory.mktemp("runs"))).verified


def _look(place: Path, now: datetime, *, days: float) -> evidence.Verified:
    return evidence.latest(place, now=now, max_age_seconds=days * DAY_SECONDS).verified


def test_a_run_that_is_young_enough_is_what_it_was_and_an_older_one_is_too_old(tmp_path: Path) -> None:
    place = _place(tmp_path)

    young = _look(place, instants.later(ENDED, 8 * DAY_SECONDS), days=8)
    old = _look(place, instants.later(ENDED, 8 * DAY_SECONDS + 1), days=8)

    assert (young.exit_code, young.finding.state) == (0, State.OK)
    assert (old.exit_code, old.finding.state) == (7, State.TOO_OLD)
    assert old.finding.why == (
        f"no run came since {evidencing.run_id(21)}, {instants.text(ENDED)}: 8 d ago, 1 s more than the 8 d allowed"
    )


@hypothesis.given(age_seconds=st.floats(-1e7, 1e7), max_age_seconds=st.floats(0, 1e7))
def test_quiet_exactly_while_the_age_is_allowed(
    verified: evidence.Verified, age_seconds: float, max_age_seconds: float
) -> None:
    now = instants.later(ENDED, age_seconds)
    age_seconds = instants.seconds_between(ENDED, now)  # as instants hold it

    answer = ages.hold_to_age(evidencing.run_id(21), verified, max_age_seconds, now)

    if age_seconds < -ages.MOST_AHEAD_SECONDS:
        assert answer.exit_code == 9
    else:
        assert answer.exit_code == (0 if age_seconds <= max_age_seconds else 7)


def test_a_hold_that_is_young_is_a_hold_and_one_that_is_old_is_too_old(tmp_path: Path) -> None:
    place = _place(tmp_path, passing=False)

    assert _look(place, instants.later(ENDED, 60.0), days=8).exit_code == 3
    assert _look(place, instants.later(ENDED, 9 * DAY_SECONDS), days=8).exit_code == 7


def test_evidence_that_does_not_hold_says_so_however_old_it_is(tmp_path: Path) -> None:
    place = _place(tmp_path)
    (place / evidencing.run_id(21) / cases.METRICS).write_bytes(b"{}")

    assert _look(place, instants.later(ENDED, 60.0), days=8).exit_code == 8


def test_a_roll_up_is_as_old_as_its_id_says(tmp_path: Path) -> None:
    order, sources, folder = test_rollups.make_site(tmp_path)
    campaign_rollups.roll_up(order, sources, folder)
    began = instants.parse("2026-02-22T08:09:08Z")

    def look(seconds: float) -> int:
        now = instants.later(began, seconds)
        return evidence.latest(tmp_path, phase="M10.J", now=now, max_age_seconds=60.0).verified.exit_code

    assert [look(59.0), look(61.0)] == [0, 7]


def test_the_command_complains_in_words_and_as_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    place = _place(tmp_path)

    assert main.main(["latest", str(place), "--max-age", "8d"]) == 7
    assert "too-old: no run came since" in capsys.readouterr().out
    assert main.main(["latest", str(place), "--max-age", "8d", "--json"]) == 7
    assert json.loads(capsys.readouterr().out)["state"] == "too-old"
    assert main.main(["latest", str(place), "--phase", "M10.Z", "--max-age", "8d"]) == 7
    assert "absent: no run of phase M10.Z" in capsys.readouterr().out
    assert main.main(["latest", str(place), "--max-age", "9999d"]) == 0
    assert main.main(["latest", str(place), "--max-age", "soon"]) == 2
