"""The documents of every released version stay readable, verifiable and re-adjudicable, as consumers know them."""

import json
from pathlib import Path
from typing import Any

import jq
import pytest

from burst import evidence
from burst.adapters.local import journal_file
from burst.cli import main
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.domain.run.events import launch_events
from burst.domain.verdict import baselines
from burst.report import schemas
from tests import json_schemas
from tests.released.__main__ import KEY, RELEASES

RELEASED = sorted(folder for folder in RELEASES.iterdir() if folder.is_dir())
RUNS = sorted(run for release in RELEASED for run in release.iterdir() if run.is_dir())
EXITS = {"m10_reference": 0, "m10_pass": 0, "m10_hold": 3, "m10_rerun": 0}


def _name(path: Path) -> str:
    return str(path.relative_to(RELEASES))


def _slug(run: Path) -> str:
    return next(run.glob("*_burst_snapshot.json")).name.removesuffix("_burst_snapshot.json")


def _snapshot(run: Path) -> dict[str, Any]:
    value: dict[str, Any] = json.loads(
        (run / document_names.snapshot_name(_slug(run), catalogues.Kind.BURST)).read_bytes()
    )
    return value


@pytest.mark.parametrize("release", RELEASED, ids=_name)
def test_every_release_left_each_kind_of_run(release: Path) -> None:
    assert {run.name for run in release.iterdir() if run.is_dir()} == EXITS.keys()


@pytest.mark.parametrize("run", RUNS, ids=_name)
def test_a_released_run_verifies_with_the_key_of_its_release(run: Path) -> None:
    verified = evidence.verify(run, key=str(run.parent / f"{KEY}.pub"), require_signature=True)

    assert verified.exit_code == EXITS[run.name], verified.finding.why
    assert [link.state for link in verified.chain] == (["ok"] if run.name == "m10_rerun" else [])


@pytest.mark.parametrize("run", RUNS, ids=_name)
def test_every_released_document_fits_the_schema_that_consumers_read_with(run: Path) -> None:
    for kind, known in schemas.KINDS.items():
        path = run / known.name.replace("{slug}", _slug(run)).replace("{kind}", "burst")
        if path.is_file() and kind != "journal":
            json_schemas.validator(kind, "lenient").validate(json.loads(path.read_bytes()))
    for line in (run / document_names.JOURNAL).read_bytes().splitlines():
        json_schemas.validator("journal", "lenient").validate(json.loads(line))


@pytest.mark.parametrize("run", RUNS, ids=_name)
def test_a_released_journal_and_baseline_are_read(run: Path) -> None:
    created = journal_file.read(run / document_names.JOURNAL)[0].event
    assert isinstance(created, launch_events.RunCreated)
    assert (created.execution_id, created.minor) == (run.name, 0)
    assert (
        baselines.read((run.parent / document_names.BASELINE).read_bytes()).provenance.execution_id == "m10_reference"
    )


@pytest.mark.parametrize("run", RUNS, ids=_name)
def test_a_released_run_is_adjudicated_again_from_its_documents(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = {
        "--plan": document_names.PLAN,
        "--task-result": document_names.task_result_name(_slug(run)),
        "--metrics": document_names.metrics_name(_slug(run)),
        "--facts": document_names.facts_name(_slug(run)),
        "--baseline": document_names.BASELINE,
        "--prior": document_names.PRIOR,
        "--preflight": document_names.preflight_name(_slug(run)),
    }
    words = [word for option, name in given.items() if (run / name).exists() for word in (option, str(run / name))]

    code = main.main(["adjudicate", *words, "--json"])

    reached, released = json.loads(capsys.readouterr().out), _snapshot(run)
    assert code == EXITS[run.name]
    for name in ("blockers", "overall_pass", "burst_load_checks", "runtime_budget", "cost", "evidence_refs"):
        assert reached[name] == released[name]


@pytest.mark.parametrize("run", RUNS, ids=_name)
def test_a_consumer_of_the_contracts_fields_reads_every_release(run: Path) -> None:
    snapshot = _snapshot(run)

    def ask(expression: str) -> Any:
        return jq.compile(expression).input_value(snapshot).first()

    assert ask(".overall_pass == (.blockers | length == 0)")
    assert ask("[.blocker_register[] | select(.open) | .blocker] == .blockers")
    assert ask(".burst_load_checks.duration_seconds | .value >= .threshold and .pass")
    assert ask(".runtime_budget | .budget_pass and .elapsed_seconds <= .budget_seconds")
    assert ask('all(.evidence_refs[]; (.sha256 | test("^[0-9a-f]{64}$")) and .size > 0)')
    assert ask(".execution_id") == run.name
