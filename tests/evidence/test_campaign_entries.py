"""The entry gates of a step, and its regressions: each rests on evidence that is verified again, by digest."""

import json
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from burst.adapters.local import system_clock
from burst.cli import common, running
from burst.domain.basics import canonical, errors
from burst.domain.course import campaign_files, courses
from burst.wiring import campaign_commands, campaign_databases, campaign_plans, campaign_rollups, campaign_steps
from tests import cases
from tests.evidence import evidencing


def make_file(*steps: Mapping[str, Any]) -> campaign_files.CampaignFile:
    value = {"schema": "burst.campaign/v1", "name": "x", "environment": "dev", "budget": {"max": "1h"}}
    return campaign_files.parse(json.dumps({**value, "steps": list(steps)}), source="campaign.yaml")


def make_steps(file: campaign_files.CampaignFile, folder: Path) -> campaign_steps.CampaignSteps:
    reporter = running.RunReporter(common.Output())
    return campaign_steps.CampaignSteps(
        plan_steps=campaign_plans.PlanSteps(file=file, folder=folder, reporter=reporter, command=()),
        command_steps=campaign_commands.CommandSteps(folder, "x_1", system_clock.SystemClock()),
        database_steps=campaign_databases.DatabaseSteps(
            file=file, folder=folder, operator="ada", said_yes=False, say=reporter.say
        ),
        rollup_steps=campaign_rollups.RollupSteps(file=file, folder=folder),
    )


def make_ended(folder: Path, *, end: courses.EndWord = "PASS") -> courses.StepState:
    """A step that ended with the snapshot in a folder."""
    sha256 = canonical.digest((folder / evidencing.SNAPSHOT).read_bytes())
    attempt = courses.StepAttempt(
        number=1, index=0, run_id=folder.name, intended_at=cases.moment(0), end=end, exit_code=0,
        snapshot=courses.CitedSnapshot(place=str(folder), sha256=sha256),
    )  # fmt: skip
    return courses.StepState(attempts=(attempt,), passed=end == "PASS")


def run_folder(runs: Path, number: int, *, passing: bool = True) -> Path:
    name = evidencing.run_id(number)
    return evidencing.folder(runs, name, evidencing.published(evidencing.case(name, passing=passing)))


WINDOW = {"name": "window", "plan": "w.yaml"}
BURST = {"name": "burst", "plan": "b.yaml", "depends_on": ["window"], "pause": "on_regression"}


def test_a_step_begins_on_the_sound_pass_of_the_one_before_it_by_digest(tmp_path: Path) -> None:
    file, folder = make_file(WINDOW, BURST), run_folder(tmp_path, 1)
    course = courses.Course(steps={"window": make_ended(folder)})

    (ref,) = make_steps(file, tmp_path).check_entry(file.step("burst"), course)

    assert (ref.name, ref.verdict) == ("window", "PASS")
    assert ref.sha256 == canonical.digest((folder / evidencing.SNAPSHOT).read_bytes())


def spoil_metrics(folder: Path) -> None:
    path = folder / cases.METRICS
    path.write_bytes(path.read_bytes().replace(b"ADMIT", b"ADMIR"))


def replace_run(folder: Path) -> None:
    """Another run's evidence under the same place: sound, and not the one that the journal names."""
    for path in folder.iterdir():
        path.unlink()
    other = evidencing.case(folder.name, scope="platform_another")
    for name, content in evidencing.published(other).items():
        (folder / name).write_bytes(content)


@pytest.mark.parametrize(
    ("spoil", "words"), [(spoil_metrics, "is corrupt"), (replace_run, "is required"), (lambda folder: None, "")]
)
def test_evidence_that_is_not_the_one_of_the_journal_lets_nothing_begin(tmp_path: Path, spoil: Any, words: str) -> None:
    file, folder = make_file(WINDOW, BURST), run_folder(tmp_path, 1)
    course = courses.Course(steps={"window": make_ended(folder)})
    spoil(folder)

    if not words:
        assert make_steps(file, tmp_path).check_entry(file.step("burst"), course)
        return
    with pytest.raises(errors.Refused, match=words):
        make_steps(file, tmp_path).check_entry(file.step("burst"), course)


def test_a_gate_may_want_a_hold_and_a_snapshot_of_any_place(tmp_path: Path) -> None:
    held, passed = run_folder(tmp_path, 1, passing=False), run_folder(tmp_path, 2)
    sha256 = canonical.digest((passed / evidencing.SNAPSHOT).read_bytes())
    entry = [{"step": "window", "verdict": "HOLD"}, {"snapshot": str(passed), "sha256": sha256}]
    file = make_file(WINDOW, {"name": "again", "plan": "b.yaml", "entry": entry})
    course = courses.Course(steps={"window": make_ended(held, end="HOLD")})

    refs = make_steps(file, tmp_path).check_entry(file.step("again"), course)

    assert [(ref.name, ref.verdict) for ref in refs] == [("window", "HOLD"), (str(passed), "PASS")]
    strict = make_file(WINDOW, {"name": "again", "plan": "b.yaml", "depends_on": ["window"]})
    with pytest.raises(errors.Refused, match="is HOLD, and has to be PASS"):
        make_steps(strict, tmp_path).check_entry(strict.step("again"), course)


@pytest.mark.parametrize("passing", [True, False])
def test_a_gate_that_passes_no_longer_is_a_regression(tmp_path: Path, passing: bool) -> None:
    file = make_file(WINDOW, BURST)
    before, after = run_folder(tmp_path, 1), run_folder(tmp_path, 2, passing=passing)
    course = courses.Course(steps={"window": make_ended(before), "burst": make_ended(after)})

    regressions = make_steps(file, tmp_path).find_regressions(file.step("burst"), course)

    assert bool(regressions) is (not passing)
    assert passing or "achieved_multiplier regressed" in regressions


def test_services_that_a_step_overrides_keep_the_others_of_its_plan(tmp_path: Path) -> None:
    services = [{"name": "writer", "desired": 4}, {"name": "reader", "desired": 1}]
    value = cases.plan_value(environment="dev", target=cases.ECS, services=services)
    value["evidence"] = {"run_control": "s3://bucket/rc", "run_scoped": "s3://bucket/runs"}
    (tmp_path / "plan_burst.yaml").write_text(json.dumps(value))
    overrides = {"services": {"writer": 8, "cache": 2}, "concurrency": 3, "plan": {"load.headroom": 1.5}}
    file = make_file({"name": "burst", "plan": "b.yaml", "overrides": overrides})
    step = file.step("burst")

    plan = make_steps(file, tmp_path).plan_steps.read_plan(step, step.list_settings(0))

    assert {service.name: service.desired for service in plan.services} == {"writer": 8, "reader": 1, "cache": 2}
    assert (plan.target.tasks, plan.load.headroom) == (3, 1.5)


@pytest.mark.parametrize(("seconds", "minutes"), [(8511.0, 141.85), (1302.0, 21.70)])
def test_the_time_lost_to_a_hold_goes_from_its_end_to_that_of_the_pass(seconds: float, minutes: float) -> None:
    ends: list[courses.EndWord] = ["HOLD", "HOLD", "PASS"]
    at = [cases.moment(0), cases.moment(60), cases.moment(0) + timedelta(seconds=seconds)]
    attempts = tuple(
        courses.StepAttempt(
            number=number, index=0, run_id=str(number), intended_at=cases.moment(0), end=end, ended_at=ended_at
        )
        for number, (end, ended_at) in enumerate(zip(ends, at, strict=True), start=1)
    )

    assert courses.StepState(attempts=attempts).lost_to_hold_seconds / 60 == pytest.approx(minutes)
    assert courses.StepState(attempts=attempts[:2]).lost_to_hold_seconds == 0.0
