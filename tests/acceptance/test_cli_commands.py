"""The other commands as a user types them, on real folders."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import click
import pytest

import burst
from burst.adapters.local import folder_store
from burst.cli import main
from burst.control import preflight
from burst.domain.basics import canonical
from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.load import shipped_profiles
from burst.report import html
from burst.wiring import preparing
from burst.wiring.preflight import checks
from tests import cases, terraforming, waiting

COMMANDS = tuple(main.COMMANDS)
Shown = pytest.CaptureFixture[str]


def run(*arguments: str | Path) -> int:
    """`burst` within this process, for speed."""
    return main.main([str(word) for word in arguments])


def publish(runs: Path, case: cases.Case, execution_id: str = cases.EXECUTION_ID) -> Path:
    """The run folder of a case, as a controller leaves it."""
    store = folder_store.FolderStore.create(runs, execution_id)
    verdict = case.verdict()
    for name, content in case.documents().items():
        store.put_once(name, content)
    store.put_once(document_names.REPORT, html.render(verdict, case.documents()))
    store.put_once(document_names.snapshot_name(case.plan.slug, case.plan.kind), verdict.content)
    return store.folder


@pytest.fixture
def passed(tmp_path: Path) -> Path:
    return publish(tmp_path / "runs", cases.passing())


@pytest.fixture
def held(tmp_path: Path) -> Path:
    duplicates = cases.metrics(counts=cases.counts(1, 10001))
    return publish(tmp_path / "runs", cases.passing().having(metrics=duplicates), "held")


@pytest.mark.parametrize("words", [["verify"], ["evidence", "verify"]], ids=" ".join)
def test_verify_exits_0_on_a_sound_pass(passed: Path, words: list[str], capsys: Shown) -> None:
    code = run(*words, passed)

    assert code == 0
    assert capsys.readouterr().out == "ok: PASS: no blocker open\n"


def test_verify_exits_3_on_a_sound_hold(held: Path, capsys: Shown) -> None:
    code = run("verify", held, "--json")
    value = json.loads(capsys.readouterr().out)

    assert code == value["exit_code"] == 3
    assert (value["state"], value["overall_pass"], value["blockers"]) == ("ok", False, ["M10F-B1"])
    assert value["sha256"] == canonical.digest((held / "m10_f_burst_snapshot.json").read_bytes())


def moved_away(path: Path) -> None:
    """Leaves a link where a document was."""
    path.symlink_to(path.rename(path.parent.parent / path.name))


SPOIL: dict[str, tuple[Callable[[Path], object], int, str]] = {
    "no snapshot": (lambda folder: (folder / "m10_f_burst_snapshot.json").unlink(), 7, "incomplete"),
    "no document": (lambda folder: (folder / cases.METRICS).unlink(), 8, "missing-document"),
    "a changed document": (lambda folder: (folder / cases.FACTS).write_bytes(b"{}"), 8, "corrupt"),
    "a link": (lambda folder: moved_away(folder / cases.FACTS), 9, "unknown"),
    "a snapshot of tomorrow": (
        lambda folder: (folder / "m10_f_burst_snapshot.json").write_bytes(b'{"schema":"burst.snapshot/v2"}'),
        9,
        "unsupported-schema",
    ),
}


@pytest.mark.parametrize("name", SPOIL)
def test_verify_and_report_exit_by_what_is_wrong(passed: Path, name: str, tmp_path: Path, capsys: Shown) -> None:
    spoil, code, state = SPOIL[name]
    spoil(passed)

    assert run("verify", passed, "--json") == code
    assert json.loads(capsys.readouterr().out)["state"] == state
    assert run("report", passed, "-o", tmp_path / "page.html") == code
    assert f"burst: {state}:" in capsys.readouterr().err
    assert not (tmp_path / "page.html").exists()


def test_verify_of_nothing_exits_7(tmp_path: Path, capsys: Shown) -> None:
    assert run("verify", tmp_path / "nowhere", "--json") == 7
    assert json.loads(capsys.readouterr().out)["state"] == "absent"


def test_a_run_is_found_by_its_execution_id(passed: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    assert run("verify", cases.EXECUTION_ID, "--runs-dir", passed.parent) == 0
    monkeypatch.setenv("BURST_RUNS_DIR", str(passed.parent))
    assert run("verify", cases.EXECUTION_ID) == 0
    assert run("report", "m10_of_nobody") == 7
    assert "no run m10_of_nobody" in capsys.readouterr().err


def test_report_writes_the_page_the_controller_wrote(
    passed: Path, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    frozen = (passed / document_names.REPORT).read_bytes()

    assert run("report", passed) == 0
    assert capfdbinary.readouterr().out == frozen
    assert run("report", passed, "-o", tmp_path / "page.html", "--json") == 0
    assert json.loads(capfdbinary.readouterr().out)["sha256"] == canonical.digest(frozen)
    assert (tmp_path / "page.html").read_bytes() == frozen


def test_a_baseline_is_made_of_a_passed_run_and_verifies(passed: Path, tmp_path: Path, capsys: Shown) -> None:
    target = tmp_path / "m10_f.json"

    made = run("baseline", "make", passed, "-o", target, "--json")
    value = json.loads(capsys.readouterr().out)

    assert made == 0
    assert value["admits"] == cases.ENOUGH_ADMITS
    assert value["max_age_seconds"] == 720 * 3600
    assert run("baseline", "verify", target) == 0
    assert f"{cases.ENOUGH_ADMITS} admits in 900.0 s" in capsys.readouterr().out


def test_a_baseline_of_a_hold_is_refused(held: Path, tmp_path: Path, capsys: Shown) -> None:
    assert run("baseline", "make", held, "-o", tmp_path / "b.json") == 4
    assert "HOLD, open: M10F-B1" in capsys.readouterr().err
    assert not (tmp_path / "b.json").exists()


@pytest.mark.parametrize(
    ("content", "code", "said"),
    [
        (cases.baseline(), 0, ""),
        (cases.baseline().replace(b"50100", b"40100"), 8, "checksum"),
        (b"{", 8, "not valid JSON"),
        (cases.baseline(schema="burst.baseline/v9"), 9, "burst.baseline/v9"),
        (cases.baseline(max_age_seconds=1.0), 4, "its limit is 1 s"),
    ],
    ids=["sound", "changed", "no JSON", "unknown", "expired"],
)
def test_baseline_verify_exits_by_what_is_wrong(
    content: bytes, code: int, said: str, tmp_path: Path, capsys: Shown
) -> None:
    (tmp_path / "b.json").write_bytes(content)

    assert run("baseline", "verify", tmp_path / "b.json") == code
    assert said in capsys.readouterr().err


@pytest.mark.parametrize("target", ["local", "ecs"])
def test_a_plan_from_init_is_valid_once_its_secrets_exist(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("IG_API_KEY", "hunter2")
    monkeypatch.setenv("IG_ADMISSION_DSN", "postgresql://burst@127.0.0.1/ig")
    plan = tmp_path / "plan.yaml"

    assert run("init", "--target", target, "-o", plan) == 0
    assert run("plan", plan, "--json") == 0
    value = json.loads(capsys.readouterr().out)

    assert value["target"]["kind"] == target
    assert value["events_per_minute"] == pytest.approx(3.0 * 418.66295264623955 * 1.1)
    assert value["blockers_nothing_is_asked_about"] == []
    assert plan.read_text().count("#") > 10


@pytest.mark.parametrize("target", ["local", "ecs"])
def test_a_short_plan_from_init_is_a_first_try_of_seconds_with_two_tasks(
    target: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("IG_API_KEY", "hunter2")
    monkeypatch.setenv("IG_ADMISSION_DSN", "postgresql://burst@127.0.0.1/ig")
    file = tmp_path / "plan.yaml"

    assert run("init", "--short", "--target", target, "-o", file) == 0
    assert run("plan", file, "--json") == 0

    assert json.loads(capsys.readouterr().out)["blockers_nothing_is_asked_about"] == []
    plan = plans.parse(file.read_text(), source="plan.yaml")
    assert (plan.target.kind, plan.target.tasks, plan.budget.min_window) == (target, 2, 20.0)
    assert plan.budget.min_window / plan.receipts.bucket >= 10  # a picture of that many bars


@pytest.mark.parametrize(
    "words",
    [("--steps",), ("--kind", "soak"), ("--target", "ecs", "--from-terraform", "outputs.json")],
    ids=["steps", "kind", "terraform"],
)
def test_a_short_plan_takes_no_other_option_of_the_plan(words: tuple[str, ...], tmp_path: Path, capsys: Shown) -> None:
    assert run("init", "--short", *words, "-o", tmp_path / "plan.yaml") == 2
    assert "--short goes with --target alone" in capsys.readouterr().err
    assert not (tmp_path / "plan.yaml").exists()


def test_a_plan_from_terraforms_outputs_is_one_that_burst_plan_accepts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("IG_API_KEY", "hunter2")
    monkeypatch.setenv("IG_ADMISSION_DSN", "postgresql://burst@127.0.0.1/ig")
    plan, outputs = tmp_path / "plan.yaml", tmp_path / "outputs.json"
    outputs.write_text(terraforming.outputs())

    assert run("init", "--target", "ecs", "--from-terraform", outputs, "-o", plan) == 0
    assert run("plan", plan, "--json") == 0

    assert json.loads(capsys.readouterr().out)["target"]["kind"] == "ecs"
    assert "cluster: burst-staging" in plan.read_text()


def test_terraforms_outputs_may_be_piped_in(tmp_path: Path) -> None:
    words = ["init", "--target", "ecs", "--from-terraform", "-", "-o", "plan.yaml"]

    done = subprocess.run(
        [sys.executable, "-m", "burst", *words],
        cwd=tmp_path, input=terraforming.outputs(), capture_output=True, text=True, check=False,
        timeout=waiting.PROCESS_SECONDS,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr
    assert "cluster: burst-staging" in (tmp_path / "plan.yaml").read_text()


def test_terraforms_outputs_are_for_the_ecs_target_alone(tmp_path: Path, capsys: Shown) -> None:
    outputs = tmp_path / "outputs.json"
    outputs.write_text(terraforming.outputs())

    assert run("init", "--from-terraform", outputs, "-o", tmp_path / "plan.yaml") == 2
    assert "--target ecs" in capsys.readouterr().err
    assert not (tmp_path / "plan.yaml").exists()


def test_init_overwrites_nothing(tmp_path: Path, capsys: Shown) -> None:
    plan = tmp_path / "plan.yaml"
    plan.write_text("mine")

    assert run("init", "-o", plan) == 2
    assert plan.read_text() == "mine"
    assert "nothing was overwritten" in capsys.readouterr().err


def test_plan_says_what_would_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1/ig")
    baseline = tmp_path / "m10_e.json"
    baseline.write_bytes(cases.baseline(created_utc="2020-01-01T00:00:00Z", profile={"profile": "steady"}))
    load = {"locustfile": "locustfiles/ingest.py", "host": "http://h", "rate": "auto", "source_events": 20000}
    rerun = cases.rerun("B1", "B2", prior=str(tmp_path / "prior.json"))
    value = cases.plan_value(load=load, baseline={"file": str(baseline)}, rerun=rerun, facts=None)
    (tmp_path / "plan.json").write_bytes(cases.content(value))
    (tmp_path / "prior.json").write_bytes(cases.content(cases.prior("B1", "B2")))

    code = run("plan", tmp_path / "plan.json")
    shown = capsys.readouterr().out

    assert code == 0
    assert "1,381.588 events a minute, 690.794 a task (steady)" in shown
    assert "3 times the baseline, 1,255.989 admits a minute" in shown
    assert "window     15m (at least 15m to pass)" in shown
    assert "deadline   20m after launch" in shown
    assert "layers     guard, lease, sidecar, controller; required: guard, lease" in shown
    assert "blockers   M10F-B1, M10F-B2\n" in shown
    assert "M10F-B2 will stay open: the plan asks nothing about it" in shown
    assert "source_events 20000 last 869 s at this rate; the window is 900 s" in shown


@pytest.mark.parametrize(
    ("prior", "code", "said"),
    [
        pytest.param(b"not json", 4, "M10F-B4", id="unreadable"),
        pytest.param(cases.content(cases.prior("B1", phase="M10.G")), 4, "is of phase 'M10.G'", id="another phase"),
        pytest.param(cases.content(cases.prior("B8")), 2, "M10F-B1, not open in the prior snapshot", id="not open"),
    ],
)
def test_plan_refuses_a_prior_that_a_rerun_cannot_rest_on(
    prior: bytes, code: int, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1/ig")
    path = tmp_path / "prior.json"
    path.write_bytes(prior)
    baseline = {"admits": 50100, "seconds": 7180, "source": "m10_e"}
    value = cases.plan_value(baseline=baseline, rerun=cases.rerun("B1", prior=str(path)))
    (tmp_path / "plan.json").write_bytes(cases.content(value))

    assert run("plan", tmp_path / "plan.json") == code
    assert said in capsys.readouterr().err


def test_plan_warns_of_a_rate_that_cannot_reach_what_is_required(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1/ig")
    load = {"locustfile": "l.py", "host": "http://h", "rate": 600}
    baseline = {"admits": 50100, "seconds": 7180, "source": "m10_e"}
    (tmp_path / "plan.json").write_bytes(cases.content(cases.plan_value(load=load, baseline=baseline)))

    assert run("plan", tmp_path / "plan.json") == 0
    assert "load.rate 600.0 a minute cannot reach the 1255.989 admits" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("load", "rate", "barrier"),
    [
        (
            {"locustfile": "shop.py", "users": 40},
            "the program's own, 40 users a task (a LoadTestShape in the file sets its own): the plan names none",
            "the guard",
        ),
        ({"locustfile": "shop.py", "rate": 600}, "600 events a minute, 300 a task (declared: the program", "the guard"),
        (
            {"locustfile": "locustfiles/ingest.py", "rate": 600},
            "600 events a minute, 300 a task (steady)",
            "the program",
        ),
        ({"command": ["a"], "waits_for_go": True}, "the program's own: the plan names none", "the program"),
        ({"command": ["a"]}, "the program's own: the plan names none", "the guard"),
        ({"command": ["a"], "rate": "auto"}, "1,381.588 events a minute, 690.794 a task (declared: the", "the guard"),
        (
            {"locustfile": "locustfiles/ingest.py", "rate": 600, "topology": "distributed", "processes": 2},
            "600 events a minute, 300 a task (steady)",
            "Locust's own master",
        ),
        (
            {"locustfile": "locustfiles/playback.py", "rate": 600, "playback": {"source": "r.jsonl", "key": "/id"}},
            "600 events a minute, 300 a task (playback)",
            "the program",
        ),
        (
            {
                "locustfile": "locustfiles/playback.py",
                "playback": {"source": "r.jsonl", "key": "/id", "at": "/at", "speed_up": 2},
            },
            "the recording's: each record is due at its own time, so the plan knows no rate",
            "the program",
        ),
    ],
)
def test_plan_says_whose_the_rate_is_and_who_holds_the_barrier(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown, load: dict[str, object], rate: str, barrier: str
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1/ig")
    baseline = {"admits": 50100, "seconds": 7180, "source": "m10_e"}
    value = cases.plan_value(load=load | {"host": "http://h"}, baseline=baseline)
    (tmp_path / "plan.json").write_bytes(cases.content(value))

    assert run("plan", tmp_path / "plan.json") == 0
    shown = capsys.readouterr().out
    assert f"rate       {rate}" in shown
    assert f"barrier    {barrier}" in shown


@pytest.mark.parametrize(
    ("load", "profile", "source"),
    [
        ({"command": ["a"]}, None, "program"),
        ({"command": ["a"], "rate": 600, "profile": "replay"}, "replay", "plan"),
        ({"locustfile": "shop.py"}, None, "program"),
        ({"locustfile": "locustfiles/ingest.py", "rate": "auto"}, "steady", "auto"),
        (
            {
                "locustfile": "locustfiles/playback.py",
                "playback": {"source": "r.jsonl", "key": "/id", "at": "/at", "speed_up": 2},
            },
            "playback",
            "recording",
        ),
    ],
)
def test_the_document_of_a_plan_names_a_profile_only_where_one_is_played(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Shown,
    load: dict[str, object],
    profile: str | None,
    source: str,
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1/ig")
    baseline = {"admits": 50100, "seconds": 7180, "source": "m10_e"}
    value = cases.plan_value(load=load | {"host": "http://h"}, baseline=baseline)
    (tmp_path / "plan.json").write_bytes(cases.content(value))

    assert run("plan", "--json", tmp_path / "plan.json") == 0
    shown = json.loads(capsys.readouterr().out)
    assert (shown["profile"], shown["rate_of"]) == (profile, source)


def test_a_rerun_of_some_blockers_without_a_prior_is_warned_of_because_the_others_stay_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1/ig")
    value = cases.plan_value(baseline={"admits": 50100, "seconds": 7180, "source": "m10_e"})
    (tmp_path / "plan.json").write_bytes(cases.content(value))

    assert run("plan", tmp_path / "plan.json", "--only", "M10F-B1") == 0
    shown = capsys.readouterr().out
    assert "warning    this rerun will hold: M10F-B2, M10F-B3" in shown
    assert "will stay open, because it names no prior snapshot" in shown

    assert run("plan", "--json", tmp_path / "plan.json", "--only", "M10F-B1") == 0
    document = json.loads(capsys.readouterr().out)
    assert [words for words in document["warnings"] if "this rerun will hold" in words]
    assert document["blockers_carried_from_nothing"] == document["blockers_carried"] != []

    assert run("plan", "--json", tmp_path / "plan.json", "--only", ",".join(document["blockers_carried"])) == 0
    assert "M10F-B1 will stay open" in str(json.loads(capsys.readouterr().out)["warnings"])

    assert run("plan", "--json", tmp_path / "plan.json") == 0
    assert json.loads(capsys.readouterr().out)["warnings"] == []


@pytest.mark.parametrize(
    ("only", "status"), [(None, "passed"), (["M10F-B1"], "warning"), (cases.plan().blockers, "passed")]
)
def test_preflight_warns_of_a_rerun_that_carries_blockers_from_no_prior(only: list[str] | None, status: str) -> None:
    rerun = None if only is None else {"only": list(only)}
    prepared = preparing.Prepared(plan=cases.plan(rerun=rerun), baseline_content=None, prior=None, baseline=None)

    finding = checks.check_prior(prepared.plan, prepared.problems, {})

    assert finding.status == status
    assert finding.passed or "this rerun will hold: M10F-B2" in finding.seen


def test_a_locustfile_that_is_not_there_is_told_with_the_one_that_comes_with_burst(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1:1/ig")
    monkeypatch.setattr(preflight, "PATIENCE_SECONDS", 0.2)
    load = {"locustfile": "l.py", "host": "http://h", "rate": 6000}
    baseline = {"admits": 50100, "seconds": 7180, "source": "m10_e"}
    (tmp_path / "plan.json").write_bytes(cases.content(cases.plan_value(load=load, baseline=baseline)))
    monkeypatch.chdir(tmp_path)

    assert run("preflight", "plan.json") == 4
    said = capsys.readouterr().out
    assert f"l.py is not there, looked for from {tmp_path}" in said
    assert "the profile that ships with burst is locustfiles/ingest.py" in said


def test_a_shipped_profile_is_found_under_its_path_in_a_folder_without_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1:1/ig")
    load = {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1", "rate": 6000}
    baseline = {"admits": 50100, "seconds": 7180, "source": "m10_e"}
    (tmp_path / "plan.json").write_bytes(cases.content(cases.plan_value(load=load, baseline=baseline)))
    monkeypatch.chdir(tmp_path)
    words = f"not in {tmp_path}, so the profile that ships with burst runs: {shipped_profiles.INGEST}"

    assert run("plan", "plan.json") == 0
    assert f"profile    locustfiles/ingest.py is {words}" in capsys.readouterr().out


def test_a_file_of_the_working_folder_comes_before_the_shipped_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1:1/ig")
    load = {"locustfile": "locustfiles/ingest.py", "host": "http://127.0.0.1:1", "rate": 6000}
    baseline = {"admits": 50100, "seconds": 7180, "source": "m10_e"}
    (tmp_path / "plan.json").write_bytes(cases.content(cases.plan_value(load=load, baseline=baseline)))
    (tmp_path / "locustfiles").mkdir()
    (tmp_path / "locustfiles" / "ingest.py").write_text("x = 1")
    monkeypatch.chdir(tmp_path)

    assert run("plan", "plan.json", "--json") == 0
    assert json.loads(capsys.readouterr().out)["shipped_profile"] is None


def test_the_folder_of_a_new_file_is_made(passed: Path, tmp_path: Path) -> None:
    baseline = tmp_path / "baselines" / "of" / "m10_e.json"

    assert run("baseline", "make", passed, "-o", baseline) == 0
    assert run("baseline", "verify", baseline) == 0


def test_a_file_where_a_folder_should_be_is_named(tmp_path: Path, capsys: Shown) -> None:
    (tmp_path / "plans").write_text("mine")

    assert run("init", "-o", tmp_path / "plans" / "plan.yaml") == 2
    assert f"{tmp_path / 'plans'} exists" in capsys.readouterr().err


@pytest.mark.parametrize("words", [["guard"], ["baseline"], ["evidence"]], ids=" ".join)
def test_every_help_has_examples(words: list[str], capsys: Shown) -> None:
    with contextlib.suppress(SystemExit):
        run(*words, "--help")

    assert "example" in capsys.readouterr().out.lower()


def test_plan_refuses_a_baseline_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://burst@127.0.0.1/ig")
    value = cases.plan_value(baseline={"file": str(tmp_path / "none.json")})
    (tmp_path / "plan.json").write_bytes(cases.content(value))

    assert run("plan", tmp_path / "plan.json") == 4
    assert "M10F-B5: baseline" in capsys.readouterr().err


@pytest.mark.parametrize("kind", ["plan", "snapshot", "metrics", "task-result", "facts", "baseline", "journal"])
def test_schema_prints_one_document(kind: str, capsys: Shown) -> None:
    assert run("schema", kind, "--json") == 0
    assert json.loads(capsys.readouterr().out)["$id"] == f"urn:burst:schema:{kind}:v1"


def test_schema_prints_the_form_asked_for(capsys: Shown) -> None:
    assert run("schema", "metrics", "--strict") == 0
    assert json.loads(capsys.readouterr().out)["additionalProperties"] is False


def test_schema_alone_lists_what_there_is(capsys: Shown) -> None:
    assert run("schema") == 0
    shown = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["task-result", "burst.task-result/v1", "{slug}_task_result.json"] in shown

    assert run("schema", "--json") == 0
    listed = {each["kind"]: each["document"] for each in json.loads(capsys.readouterr().out)}
    assert (listed["run"], listed["plan"]) == ("run.json", "plan.json")


@pytest.mark.parametrize(("shell", "word"), [("bash", "complete"), ("zsh", "compdef"), ("fish", "complete")])
def test_completion_prints_the_script_of_a_shell(shell: str, word: str, capsys: Shown) -> None:
    assert run("completion", shell) == 0
    assert word in capsys.readouterr().out


def test_a_shell_completes_commands(tmp_path: Path) -> None:
    asked = {"_BURST_COMPLETE": "bash_complete", "COMP_WORDS": "burst ver", "COMP_CWORD": "1"}

    answer = burst_process(environment=asked)

    assert answer.stdout.splitlines() == ["plain,verify"]


def burst_process(
    *arguments: str | Path, environment: dict[str, str] | None = None, stdout: int = subprocess.PIPE
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "burst", *map(str, arguments)],
        stdout=stdout,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        timeout=waiting.PROCESS_SECONDS,
        env={**os.environ, **(environment or {})},
    )


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["--budget", "30", "--", sys.executable, "-c", "raise SystemExit(7)"], 7),
        (["--budget", "0.2", "--grace", "5", "--", "sleep", "30"], 124),
        (["--", "true"], 2),
        (["--budget", "5", "--", "no-such-program-anywhere"], 127),
    ],
    ids=["the program's own code", "the budget", "wrong usage", "no program"],
)
def test_guard_hands_its_words_on_unread(words: list[str], code: int) -> None:
    assert burst_process("guard", *words).returncode == code


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "guard"])  # it has a parser of its own
def test_every_command_has_help_and_says_its_version(name: str, capsys: Shown) -> None:
    assert run(name, "--help") == 0
    shown = capsys.readouterr().out

    assert f"burst {name}" in shown
    if not isinstance(main.cli.get_command(click.Context(main.cli), name), click.Group):
        assert "Example" in shown
        assert {"--json", "--quiet", "--log-format", "--version"} <= set(shown.replace(",", " ").split())
        assert run(name, "--version") == 0
        assert capsys.readouterr().out == f"burst {burst.__version__}\n"


@pytest.mark.parametrize("name", [name for name in COMMANDS if name != "guard"])
def test_an_unknown_option_exits_2(name: str, capsys: Shown) -> None:
    assert run(name, "--no-such-option") == 2
    shown = capsys.readouterr()
    assert shown.out == ""
    assert "--no-such-option" in shown.err


def test_an_unknown_command_exits_2(capsys: Shown) -> None:
    assert run("lunch") == 2
    assert "there is no command lunch" in capsys.readouterr().err


def test_quiet_leaves_errors_and_json_logs_are_one_line_each(tmp_path: Path, capsys: Shown) -> None:
    plan = tmp_path / "plan.yaml"

    assert run("init", "-o", plan, "--quiet") == 0
    assert capsys.readouterr() == ("", "")
    assert run("init", "-o", plan, "--quiet", "--log-format", "json") == 2
    line = json.loads(capsys.readouterr().err)
    assert line["level"] == "error"
    assert "nothing was overwritten" in line["message"]


def test_a_reader_that_goes_away_changes_no_exit_code(held: Path) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        answer = burst_process("report", held, stdout=writing)
        verdict = burst_process("verify", held, "--quiet", stdout=writing)
    finally:
        os.close(writing)

    assert (answer.returncode, answer.stderr) == (0, "")
    assert (verdict.returncode, verdict.stderr) == (3, "")


def test_a_bug_is_pythons_own_traceback_and_exit_1(passed: Path) -> None:
    script = (
        "import sys; from burst.cli import main; from burst.evidence import verification\n"
        "def bug(*_, **__): raise ZeroDivisionError('a bug')\n"
        "verification.verify = bug\n"
        "sys.exit(main.main(['verify', sys.argv[1]]))\n"
    )
    died = subprocess.run(
        [sys.executable, "-c", script, str(passed)],
        capture_output=True,
        text=True,
        check=False,
        timeout=waiting.PROCESS_SECONDS,
    )

    assert died.returncode == 1
    assert "Traceback" in died.stderr
    assert "ZeroDivisionError: a bug" in died.stderr


def test_count_shows_no_dsn_it_was_given(capsys: Shown) -> None:
    """A literal DSN works, and neither its password nor the DSN itself is printed."""
    dsn = "postgresql://burst:hunter2@127.0.0.1:1/ig"
    words = ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:20:00Z", "--give-up", "1s"]

    code = run("count", "--dsn", dsn, *words)
    shown = capsys.readouterr()

    assert code == 4
    assert shown.out == ""
    assert "hunter2" not in shown.err
    assert shown.err.startswith("burst: ")


@pytest.mark.parametrize(
    "words",
    [
        ["--from", "yesterday", "--to", "2026-02-21T02:20:00Z"],
        ["--from", "2026-02-21T02:20:00", "--to", "2026-02-21T02:30:00Z"],
        ["--from", "2026-02-21T02:20:00Z", "--to", "2026-02-21T02:00:00Z"],
        ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:20:00Z", "--bucket", "60"],
        ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:20:00Z", "--bucket", "0s"],
        ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:20:00Z", "--columns", "when=at"],
        ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:20:00Z", "--columns", "at="],
        ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:20:00Z", "--decisions", "ADMIT=ok"],
        ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:20:00Z", "--decisions", '{"ADMIT": "ok"}'],
        ["--from", "2026-02-21T02:00:00Z", "--to", "2026-02-21T02:20:00Z", "--time-unit", "minutes"],
    ],
    ids=[
        "no instant",
        "no zone",
        "reversed",
        "no unit",
        "no length",
        "no such column",
        "no name",
        "no object",
        "no list of words",
        "no unit of time",
    ],
)
def test_wrong_words_of_count_exit_2(words: list[str], capsys: Shown) -> None:
    assert run("count", "--dsn", "env:BURST_TEST_DSN", *words) == 2
    assert capsys.readouterr().out == ""
