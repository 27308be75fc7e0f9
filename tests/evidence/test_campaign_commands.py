"""Steps that are commands: comparisons, promotions and others, each started once and judged by its end."""

import json
import sys
from pathlib import Path

import pytest

from burst.cli import common, running
from burst.domain.basics import errors
from burst.domain.course import campaign_journals, course_events
from burst.domain.documents import campaign_records
from burst.wiring import campaign_commands, campaign_plans, campaigns
from tests import cases, closing
from tests.evidence import evidencing


@pytest.fixture
def reporter() -> running.RunReporter:
    output = common.Output()
    output.quiet = True
    return running.RunReporter(output)


def write_file(folder: Path, *steps: str) -> str:
    head = ["schema: burst.campaign/v1", "name: words", "environment: dev", "budget: {max: 2h}"]
    lines = [*head, f"evidence: {{local: {folder}}}", "steps:", *(f"  - {step}" for step in steps)]
    return "\n".join(lines) + "\n"


def begin(folder: Path, reporter: running.RunReporter, *steps: str) -> campaigns.CampaignView:
    return campaigns.begin(write_file(folder, *steps), "campaign.yaml", None, campaigns.CampaignRequest(), reporter)


def read_closure(view: campaigns.CampaignView, step: str) -> bytes:
    last = view.course.step(step).last
    assert last is not None
    name = last.run_id.rpartition("/")[2]
    return (view.folder / campaign_commands.CLOSURES / name / "popt3_closure.json").read_bytes()


def test_two_comparisons_by_one_score_stand_beside_each_other(tmp_path: Path, reporter: running.RunReporter) -> None:
    (tmp_path / "score.json").write_bytes(closing.score_bytes())
    for name, seconds in (("base", 456.687), ("fast", 54.875), ("faster", 32.0)):
        (tmp_path / f"{name}.json").write_text(json.dumps(closing.vary(runtime={"s4": seconds})))

    view = begin(
        tmp_path,
        reporter,
        *(
            f"{{name: {step}, compare: {{base: {tmp_path}/{base}.json, candidate: {tmp_path}/{candidate}.json, "
            f"score: {tmp_path}/score.json, timeout: 60s}}}}"
            for step, base, candidate in (("first", "base", "fast"), ("second", "base", "faster"))
        ),
    )

    assert view.course.outcome == "done", view.course.pause
    closures = [json.loads(read_closure(view, step)) for step in ("first", "second")]
    assert [closure["runtime"]["s4"]["candidate_s"] for closure in closures] == [54.875, 32.0]


@pytest.mark.parametrize(("candidate", "expected"), [(200.0, ("PASS", 0)), (400.0, ("HOLD", 3))])
def test_a_comparison_is_a_step_whose_closure_lies_in_the_campaign(
    tmp_path: Path, reporter: running.RunReporter, candidate: float, expected: tuple[str, int]
) -> None:
    measure = {"name": "s4", "path": "/runtime/s4", "unit": "s", "at_most": 300.0}
    score = closing.score_value(measures=[measure], vetoes=[{"name": "passed", "rail": "pass", "path": "/status"}])
    (tmp_path / "score.json").write_text(json.dumps(score))
    for name, seconds in (("base", 456.687), ("candidate", candidate)):
        (tmp_path / f"{name}.json").write_text(json.dumps({"status": "PASS", "runtime": {"s4": seconds}}))

    view = begin(
        tmp_path,
        reporter,
        f"{{name: closed, compare: {{base: {tmp_path}/base.json, candidate: {tmp_path}/candidate.json, "
        f"score: {tmp_path}/score.json, timeout: 60s}}}}",
    )

    last = view.course.step("closed").last
    assert last is not None
    assert (last.end, last.exit_code) == expected, last.reason
    closure = json.loads(read_closure(view, "closed"))
    assert closure["decision"]["unlocked"] is (expected[0] == "PASS")


def test_a_promotion_of_too_few_runs_is_refused_with_its_words(tmp_path: Path, reporter: running.RunReporter) -> None:
    run = evidencing.folder(tmp_path, evidencing.run_id(1), evidencing.published(evidencing.case(evidencing.run_id(1))))

    view = begin(tmp_path, reporter, f"{{name: promoted, promote: {{runs: [{run}], measure: rate, timeout: 60s}}}}")

    last = view.course.step("promoted").last
    assert last is not None
    assert last.end in ("HOLD", "FAILED")
    assert view.course.pause is not None
    assert view.course.pause.step == "promoted"


@pytest.mark.parametrize(
    ("body", "expected"),
    [("exit(7)", "FAILED"), ("exit(0)", "PASS"), ("import time; time.sleep(60)", "FAILED")],
)
def test_a_command_is_judged_by_its_exit_code_and_ended_at_its_deadline(
    tmp_path: Path, reporter: running.RunReporter, body: str, expected: str
) -> None:
    command = json.dumps([sys.executable, "-c", body])

    view = begin(tmp_path, reporter, f"{{name: asked, one_shot: {{command: {command}, timeout: 3s}}}}")

    last = view.course.step("asked").last
    assert last is not None
    assert last.end == expected


def test_a_command_that_was_started_is_waited_for_and_not_started_again(
    tmp_path: Path, reporter: running.RunReporter
) -> None:
    counted = tmp_path / "counted"
    command = json.dumps([sys.executable, "-c", f"open({str(counted)!r}, 'a').write('x')"])
    view = begin(tmp_path, reporter, f"{{name: asked, one_shot: {{command: {command}, timeout: 20s}}}}")
    journal = view.folder / campaign_journals.NAME
    lines = journal.read_bytes().splitlines(keepends=True)
    names = [json.loads(line)["event"] for line in lines]
    journal.write_bytes(b"".join(lines[: names.index(course_events.StepIntended.wire_name) + 1]))

    again = campaigns.resume(campaigns.CampaignAddress(folder=view.folder), campaigns.CampaignRequest(), reporter)

    assert (again.course.outcome, counted.read_text()) == ("done", "x")


def test_a_file_that_was_changed_since_it_began_goes_on_nowhere(tmp_path: Path, reporter: running.RunReporter) -> None:
    view = begin(tmp_path, reporter, '{name: asked, one_shot: {command: ["false"], timeout: 20s}}')
    path = view.folder / campaign_records.FILE
    path.write_bytes(path.read_bytes().replace(b"false", b"true"))

    with pytest.raises(errors.EvidenceCorrupt, match="is not the one that the journal names"):
        campaigns.resume(campaigns.CampaignAddress(folder=view.folder), campaigns.CampaignRequest(), reporter)


A_SHOT = "name: a, one_shot: {command: [x], timeout: 1s}"
BAD = (
    ("name: asked", "expected one", "{name: asked}"),
    ("depends_on", "a step before it", '{name: a, one_shot: {command: ["true"], timeout: 1s}, depends_on: [b]}'),
    ("command[1]", "a step before it", '{name: a, one_shot: {command: ["x", "{b.run}"], timeout: 1s}}'),
    (
        "sweep",
        "only a step with a plan",
        "{name: a, one_shot: {command: [x], timeout: 1s}, sweep: {key: a, values: [1, 2], measure: /a}}",
    ),
    ("entry", "sha256", "{name: a, one_shot: {command: [x], timeout: 1s}, entry: [{snapshot: runs/x}]}"),
    ("families", "missing: b", "{name: b, plan: p.yaml}", "{name: r, rollup: {phase: M10.J, families: {}}}"),
    ("unknown", "an unknown key", "{name: a, one_shot: {command: [x], timeout: 1s}, after: b}"),
    (
        "twice",
        "stands twice",
        "{name: a, one_shot: {command: [x], timeout: 1s}}",
        "{name: a, one_shot: {command: [x], timeout: 1s}}",
    ),
)


@pytest.mark.parametrize("bad", BAD, ids=[bad[0] for bad in BAD])
def test_a_bad_file_is_refused_with_its_line_and_nothing_is_begun(
    tmp_path: Path, reporter: running.RunReporter, bad: tuple[str, ...]
) -> None:
    with pytest.raises(errors.UsageError, match=r"campaign.yaml:\d+: ") as caught:
        begin(tmp_path, reporter, *bad[2:])

    assert bad[1] in str(caught.value) or bad[1] == "expected one"
    assert list(tmp_path.iterdir()) == []


def test_a_plan_of_another_environment_is_refused_before_anything_is_journalled(
    tmp_path: Path, reporter: running.RunReporter
) -> None:
    plan = tmp_path / "plan.json"
    plan.write_text(json.dumps(cases.plan_value(environment="local")))

    with pytest.raises(errors.UsageError, match="environment local, the campaign of dev"):
        begin(tmp_path, reporter, f"{{name: window, plan: {plan}}}")

    assert list(tmp_path.glob("campaigns/*/journal.jsonl")) == []


def test_a_measure_that_no_pointer_finds_is_none_and_ends_no_campaign() -> None:
    pointers = ("/gates/0", "/gates/-", "/gates/7", "/gates/0/x", "/a~2", "/none")

    measures = campaign_plans.read_measures({"gates": [3]}, pointers)

    assert measures == {"/gates/0": 3, **dict.fromkeys(pointers[1:])}
