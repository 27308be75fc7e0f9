"""Closing: small runs and score files to be compared, for the tests of closures."""

import json
from pathlib import Path
from typing import Any

from burst.domain.basics import canonical
from burst.domain.closure import closures, compared_runs, score_files
from tests.evidence import evidencing

GOOD: dict[str, Any] = {
    "status": "PASS",
    "runtime": {"s4": 456.687, "s5": 243.187},
    "counts": {"rows": 35_700_000, "cases": 412},
    "warnings": 3,
    "outputs": {"overlay": "overlay.parquet"},
    "anchors": {f"anchor_{number:02d}": number for number in range(12)},
}
"""A report of a run, as the programs of the field write one."""


def vary(**changes: Any) -> dict[str, Any]:
    """The report with some of its members replaced; None takes one away."""
    return {key: part for key, part in {**GOOD, **changes}.items() if part is not None}


def make_file(value: dict[str, Any], source: str = "candidate/report.json") -> compared_runs.ComparedRun:
    """One JSON file to be compared."""
    content = json.dumps(value).encode()
    return compared_runs.ComparedRun(
        source=source, name="report.json", sha256=canonical.digest(content), documents={"report.json": content}
    )


def score_value(**changes: Any) -> dict[str, Any]:
    """A score file for such reports: S4 at most 360 s or reduced by 20 %, with every kind of rail."""
    value = {
        "schema": "burst.score/v1",
        "name": "popt3",
        "measures": [{"name": "s4", "path": "/runtime/s4", "unit": "s", "at_most": 360.0, "reduced_by": "20%"}],
        "vetoes": [
            {"name": "status_pass", "rail": "pass", "path": "/status"},
            {"name": "counts_unchanged", "rail": "same", "path": "/counts"},
            {"name": "warning_non_regression", "rail": "not_worse", "better": "lower", "path": "/warnings"},
            {"name": "outputs", "rail": "present", "path": "/outputs/overlay"},
            {"name": "keyset", "rail": "same", "of": "keys", "path": "/anchors"},
        ],
        "decision": {"unlock": "UNLOCK_POPT4", "hold": "HOLD_POPT3_REOPEN"},
        **changes,
    }
    return {key: part for key, part in value.items() if part is not None}


def score_bytes(**changes: Any) -> bytes:
    """The bytes of that score file."""
    return json.dumps(score_value(**changes)).encode()


def parse_score(**changes: Any) -> score_files.ScoreFile:
    """That score file, parsed."""
    return score_files.parse(score_bytes(**changes).decode(), source="score.yaml")


def make_scoring(
    file: score_files.ScoreFile, baseline: dict[str, Any], *candidates: dict[str, Any]
) -> closures.Scoring:
    """A scoring of reports."""
    return closures.Scoring(
        file=file,
        sha256="0" * 64,
        baseline=make_file(baseline, "base/report.json"),
        candidates=tuple(
            make_file(value, f"candidate_{number}/report.json") for number, value in enumerate(candidates, start=1)
        ),
    )


def score(file: score_files.ScoreFile, baseline: dict[str, Any], *candidates: dict[str, Any]) -> closures.Closure:
    """The closure of reports."""
    return closures.score(make_scoring(file, baseline, *candidates))


def write_report(folder: Path, name: str, value: dict[str, Any]) -> Path:
    """A report in a folder of its own."""
    path = folder / name / "report.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(value))
    return path


def write_run(runs: Path, number: int, **plan_changes: Any) -> Path:
    """The folder of a passed run with its whole evidence."""
    execution_id = evidencing.run_id(number)
    return evidencing.folder(runs, execution_id, evidencing.published(evidencing.case(execution_id, **plan_changes)))


def find_check(closure: closures.Closure, name: str) -> Any:
    """One check of a closure, by its name."""
    return next(check for check in closure.checks if check.name == name)
