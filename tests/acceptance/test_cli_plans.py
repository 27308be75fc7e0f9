"""Thirty bad plans: `burst plan` exits 2, says file, line and key and what is allowed, and prints nothing on stdout."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from burst.cli import main
from tests import waiting

GOOD = """\
schema: burst.plan/v1
phase: M10.F
scope: fresh
environment: dev
target:
  kind: local
  tasks: 2
load:
  locustfile: locustfiles/ingest.py
  host: http://127.0.0.1:8080
  profile: steady
  rate: auto
  api_key: env:BURST_TEST_KEY
budget:
  max: 90m
  operator_cap: 20m
  min_window: 15m
receipts:
  dsn: env:BURST_TEST_DSN
baseline:
  admits: 50100
  seconds: 7180
  source: m10_e
gates:
  multiplier: 3.0
  admit_ratio: 0.995
"""

# (what is replaced, by what, the line and key the message names, further words of it)
BAD: dict[str, tuple[str, str, str, tuple[str, ...]]] = {
    "unknown schema": ("burst.plan/v1", "burst.plan/v2", ":1: schema:", ("'burst.plan/v1'",)),
    "no schema": ("schema: burst.plan/v1\n", "", ":1: schema:", ("required",)),
    "phase in small letters": ("phase: M10.F", "phase: m10.f", ":2: phase:", ("saw 'm10.f'",)),
    "empty scope": ("scope: fresh", "scope: ''", ":3: scope:", ("an empty value",)),
    "scope with a space": ("scope: fresh", "scope: run 7", ":3: scope:", ("letters, digits",)),
    "unknown environment": ("environment: dev", "environment: live", ":4: environment:", ("'staging'", "'prod'")),
    "unknown target": ("kind: local", "kind: kubernetes", ":6: target.kind:", ("'local' or 'ecs'",)),
    "no tasks": ("tasks: 2", "tasks: 0", ":7: target.tasks:", ("greater than or equal to 1",)),
    "tasks as text": ("tasks: 2", "tasks: '2'", ":7: target.tasks:", ("integer",)),
    "too many at least": ("tasks: 2", "tasks: 2\n  min_tasks: 3", ":8: target.min_tasks:", ("at most tasks",)),
    "ecs without a cluster": ("kind: local", "kind: ecs", ":5: target.cluster:", ("kind ecs needs cluster",)),
    "a cluster on local": ("tasks: 2", "tasks: 2\n  cluster: c", ":8: target.cluster:", ("takes no cluster",)),
    "a typo in a key": ("  profile:", "  profil:", ":11: load.profil:", ("did you mean profile?",)),
    "host with the path": (
        ":8080",
        ":8080/v1/ingest/push",
        ":10: load.host:",
        ("twice gives 404",),
    ),
    "host that is none": ("http://127.0.0.1:8080", "127.0.0.1", ":10: load.host:", ("http://HOST",)),
    "a rate below zero": ("rate: auto", "rate: -5", ":12: load.rate:", ("events per minute",)),
    "a rate as text": ("rate: auto", "rate: fast", ":12: load.rate:", ("auto, or events per minute",)),
    "a literal key": ("env:BURST_TEST_KEY", "hunter2", ":13: load.api_key:", ("hidden", "env:NAME")),
    "a placeholder key": ("env:BURST_TEST_KEY", "REPLACE_ME", ":13: load.api_key:", ("the placeholder REPLACE_ME",)),
    "a placeholder host": ("127.0.0.1:8080", "<host>", ":10: load.host:", ("the placeholder <host>",)),
    "a budget without a unit": ("max: 90m", "max: 90", ":15: budget.max:", ("90m, 16m30s",)),
    "a budget with a wrong unit": ("max: 90m", "max: 90min", ":15: budget.max:", ("saw '90min'",)),
    "a cap over the budget": ("operator_cap: 20m", "operator_cap: 2h", ":16: budget.operator_cap:", ("at most max",)),
    "a window over the cap": ("min_window: 15m", "min_window: 20m", ":17: budget.min_window:", ("before the cap",)),
    "no window": ("  min_window: 15m\n", "", ":14: budget.min_window:", ("required",)),
    "a dsn with its password": (
        "dsn: env:BURST_TEST_DSN",
        "dsn: postgres://u:hunter2@h/d",
        ":19: receipts.dsn:",
        ("hidden",),
    ),
    "a baseline in halves": ("  seconds: 7180\n", "", ":20: baseline.file:", ("all of admits, seconds and source",)),
    "a baseline of nothing": ("admits: 50100", "admits: 0", ":21: baseline.admits:", ("greater than 0",)),
    "a ratio over one": ("admit_ratio: 0.995", "admit_ratio: 99.5", ":26: gates.admit_ratio:", ("less than or",)),
    "a multiplier of NaN": ("multiplier: 3.0", "multiplier: .nan", ":25: gates.multiplier:", ("a valid number",)),
    "a fact for a blocker of another kind": (
        "gates:",
        "facts: [{blocker: M10F-B0, name: x, sql: select 1, equals: 1}]\ngates:",
        ":24: facts[0].blocker:",
        ("a blocker of M10.F: M10F-B1, M10F-B2",),
    ),
    "a rerun of another phase": (
        "gates:",
        "rerun: {only: [M11A-B1]}\ngates:",
        ":24: rerun.only[0]:",
        ("a blocker of M10.F",),
    ),
    "a key twice": ("scope: fresh", "scope: fresh\nscope: other", ":4: scope:", ("a second time", "each key once")),
    "an anchor": ("scope: fresh", "scope: &s fresh", ":3: (syntax):", ("anchor or alias",)),
    "a tab": ("  tasks: 2", "\ttasks: 2", ":7: (syntax):", ("YAML or JSON",)),
    "nothing at all": (GOOD, "", ":1: (whole plan):", ("saw nothing",)),
    "a list": (GOOD, "- phase: M10.F\n", ":1: (whole plan):", ("a mapping",)),
}


@pytest.fixture(autouse=True)
def secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("BURST_TEST_DSN", "postgresql://u:hunter2@127.0.0.1/d")
    monkeypatch.setenv("BURST_TEST_KEY", "hunter2")


def bad(name: str, tmp_path: Path) -> tuple[Path, str, tuple[str, ...]]:
    old, new, where, words = BAD[name]
    assert old in GOOD
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD.replace(old, new, 1))
    return path, where, words


def test_there_are_thirty_of_them() -> None:
    assert len(BAD) >= 30


def test_the_plan_they_are_made_from_is_good(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD)

    code = main.main(["plan", str(path)])
    shown = capsys.readouterr()

    assert (code, shown.err) == (0, "")
    assert "is valid; nothing was started" in shown.out


@pytest.mark.parametrize("name", BAD)
def test_a_bad_plan_is_named_by_line_and_key(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, where, words = bad(name, tmp_path)

    code = main.main(["plan", str(path)])
    shown = capsys.readouterr()

    assert (code, shown.out) == (2, "")
    assert f"{path}{where}" in shown.err
    assert "launched" not in shown.err  # `burst plan` launches nothing, whatever the plan
    assert [word for word in words if word not in shown.err] == []
    assert "hunter2" not in shown.err
    assert "Traceback" not in shown.err


def test_every_problem_of_a_plan_is_said_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD.replace("tasks: 2", "tasks: 0").replace("90m", "TBD").replace("  profile", "  profil"))

    main.main(["plan", str(path)])

    lines = re.findall(r"plan\.yaml:(\d+):", capsys.readouterr().err)
    assert lines == ["7", "11", "15"]


@pytest.mark.parametrize("command", ["plan", "run"])
def test_a_bad_plan_as_a_process_exits_2_and_leaves_nothing(command: str, tmp_path: Path) -> None:
    path, where, _ = bad("a cap over the budget", tmp_path)

    asked = subprocess.run(
        [sys.executable, "-m", "burst", command, path.name, "--json"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=waiting.PROCESS_SECONDS,
    )

    assert (asked.returncode, json.loads(asked.stdout)["exit_code"]) == (2, 2)
    assert f"plan.yaml{where}" in asked.stderr
    assert f"plan.yaml{where}" in json.loads(asked.stdout)["error"]
    assert [path.name for path in tmp_path.iterdir()] == ["plan.yaml"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--set", "budget.operator_cap"], "KEY=VALUE"),
        (["--set", "load.api_key=hunter2"], "hidden"),
        (["--set", "budget.operator_cap=3h"], "at most max"),
        (["--only", "M10F-B77"], "a blocker of M10.F"),
        (["--prior", "nowhere.json", "--only", "M10F-B1"], "nowhere.json is not there"),
    ],
    ids=["no value", "a secret", "an override that does not fit", "no such blocker", "no such prior"],
)
def test_wrong_words_beside_a_good_plan_are_a_usage_error(
    words: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD)

    code = main.main(["plan", str(path), *words])
    shown = capsys.readouterr()

    assert (code, shown.out) == (2, "")
    assert said in shown.err
    assert "hunter2" not in shown.err


@pytest.mark.parametrize("name", ["BURST_TEST_DSN", "BURST_TEST_KEY"])
@pytest.mark.parametrize("value", [None, "", "REPLACE_ME"], ids=["unset", "empty", "placeholder"])
def test_a_secret_that_does_not_resolve_is_a_usage_error(
    name: str, value: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "plan.yaml"
    path.write_text(GOOD)
    if value is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, value)

    code = main.main(["plan", str(path)])
    shown = capsys.readouterr()

    assert (code, shown.out) == (2, "")
    assert f"env:{name}" in shown.err


def test_a_plan_that_is_not_there_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main.main(["plan", "nowhere.yaml"]) == 2
    assert "nowhere.yaml is not there" in capsys.readouterr().err


def test_a_plan_that_is_no_text_is_a_usage_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "plan.yaml"
    path.write_bytes(b"\xff\xfe\x00")

    assert main.main(["plan", str(path)]) == 2
    assert "not UTF-8" in capsys.readouterr().err


def on_ecs(tmp_path: Path, **more: object) -> Path:
    """A good plan on ECS, and what is given beside."""
    plan = yaml.safe_load(GOOD)
    plan["target"] = {
        "kind": "ecs", "tasks": 2, "cluster": "burst-dev", "task_definition": "burst-task:12", "subnets": ["subnet-a"],
        "security_groups": ["sg-a"],
    }  # fmt: skip
    plan["evidence"] = {"local": "runs", "run_control": "s3://evidence/dev/run_control"}
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps({**plan, **more}))
    return path


def test_what_lies_around_the_burst_and_every_layer_are_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shot = {"task_definition": "reporter:3", "command": ["report"], "timeout": "2m"}
    path = on_ecs(
        tmp_path,
        services=[{"name": "writer", "desired": 6}],
        before=[{"name": "migrate", **shot}],
        after=[{"name": "refresh", **shot}],
    )

    code = main.main(["plan", str(path)])
    shown = capsys.readouterr().out

    assert code == 0
    assert "services   writer to 6; put back afterwards" in shown
    assert "before     migrate" in shown
    assert "after      refresh" in shown
    assert "guard, lease, sidecar, schedule, sweeper, controller" in shown


@pytest.mark.parametrize(("lease_ttl", "warned"), [("18s", True), ("19s", False)])
def test_a_lease_on_s3_that_a_few_slow_answers_make_stale_is_warned_of(
    lease_ttl: str, warned: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = on_ecs(tmp_path, layers={"require": ["guard"], "lease_ttl": lease_ttl})

    code = main.main(["plan", str(path)])
    said = capsys.readouterr().out
    main.main(["plan", str(path), "--json"])

    assert code == 0
    assert ("layers.lease_ttl" in said) is warned
    assert json.loads(capsys.readouterr().out)["lease_ttl_safe_seconds"] == pytest.approx(18.45)
