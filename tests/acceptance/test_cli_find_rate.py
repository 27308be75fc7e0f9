"""`burst find-rate` with words that are wrong: each is named, and nothing begins."""

import json
from pathlib import Path
from typing import Any

import pytest

from burst.cli import main

PLAN: dict[str, Any] = {
    "schema": "burst.plan/v1",
    "phase": "M10.F",
    "scope": "fresh",
    "environment": "local",
    "target": {"kind": "local", "tasks": 2},
    "load": {"command": ["true"], "rate": 600},
    "budget": {"max": "5m", "min_window": "20s", "stop_grace": "5s"},
    "receipts": {"dsn": "env:NO_DSN"},
    "gates": {"admit_ratio": 0.995},
}
ECS: dict[str, Any] = {
    "environment": "dev",
    "target": {
        "kind": "ecs",
        "tasks": 2,
        "cluster": "burst-dev",
        "task_definition": "burst-task:12",
        "subnets": ["subnet-a"],
        "security_groups": ["sg-a"],
    },
    "evidence": {"run_control": "s3://bucket/evidence/run_control"},
}
BRACKET = ("--from", "400/s", "--to", "1600/s")


@pytest.mark.parametrize(
    ("changes", "words", "said"),
    [
        ({}, (), "--from: say a rate above 0, such as 400/s"),
        ({}, ("--from", "400/s"), "--to: say a rate above 0"),
        ({}, ("--from", "0", "--to", "9"), "--from: say a rate above 0"),
        ({}, ("--from", "1600/s", "--to", "400/s"), "--from 1600/s: allowed: a rate below --to"),
        ({}, (*BRACKET, "--within", "none"), "allowed: a share from 0.1% to 100%"),
        ({}, (*BRACKET, "--confirm", "0"), "1<=x<=10"),
        ({}, (*BRACKET, "--criterion", "speed>=3"), "a limit can be set of admit_ratio"),
        ({}, (*BRACKET, "--max-time", "30s"), "--max-time: one probe may take"),
        ({}, (*BRACKET, "--probe", "10m"), "a window that ends before the cap"),
        ({"scope": "platform_1"}, BRACKET, "scope: saw platform_1; allowed: fresh"),
        (ECS, (*BRACKET, "--max-cost", "5"), "--max-cost: the plan has no budget.cost_cap_usd"),
    ],
)
def test_words_that_are_wrong_are_named_and_nothing_begins(
    changes: dict[str, Any],
    words: tuple[str, ...],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("plan.yaml").write_text(json.dumps({**PLAN, **changes}))

    assert main.main(["find-rate", "plan.yaml", *words]) == 2

    assert said in capsys.readouterr().err
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        ((), 2, "PLAN is missing"),
        (("--resume", "none"), 7, "none"),
        (("--resume", "none", "--confirm", "3"), 2, "say no others"),
        (("plan.yaml", "--resume", "none"), 2, "say no others"),
    ],
)
def test_a_search_that_there_is_not_is_told(
    words: tuple[str, ...],
    code: int,
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)

    assert main.main(["find-rate", *words]) == code

    assert said in capsys.readouterr().err
