"""The consumer's commands on the evidence of each kind of phase, in real folders."""

import json
from pathlib import Path

import pytest

from burst.adapters.local import folder_store
from burst.cli import main
from burst.domain.course import campaign_files
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.report import html, runbook_pages
from tests import cases
from tests.unit import test_phase_kinds as phases

Shown = pytest.CaptureFixture[str]
KINDS = phases.RUN_KINDS
PLANNED = [kind for kind in catalogues.Kind if kind is not catalogues.Kind.ROLLUP]


def run(*words: str | Path) -> int:
    """`burst` within this process, for speed."""
    return main.main([str(word) for word in words])


def publish(runs: Path, kind: catalogues.Kind, *, holds: bool = False) -> Path:
    """The run folder of a phase, as a controller leaves it; of one that holds each answer is a no."""
    changes = {"facts": phases.answer_wrongly(kind), "metrics": phases.make_metrics(settled=False)} if holds else {}
    case = phases.make_case(kind, **changes)
    store, verdict = folder_store.FolderStore.create(runs, cases.EXECUTION_ID), case.verdict()
    contents = {**case.documents(), document_names.REPORT: html.render(verdict, case.documents())}
    for name, content in contents.items():
        store.put_once(name, content)
    store.put_once(document_names.snapshot_name(case.plan.slug, kind), verdict.content)
    return store.folder


@pytest.mark.parametrize("kind", KINDS)
def test_every_command_of_evidence_knows_every_kind(kind: catalogues.Kind, tmp_path: Path, capsys: Shown) -> None:
    folder, archive = publish(tmp_path / "runs", kind), tmp_path / "bundle.zip"
    name = f"m10_f_{kind}_snapshot.json"

    assert (folder / name).is_file()
    assert run("verify", folder) == 0
    assert run("evidence", "latest", tmp_path / "runs", "--phase", "M10.F") == 0
    assert run("history", tmp_path / "runs", "--phase", "M10.F") == 0
    assert run("report", folder, "-o", tmp_path / "page.html") == 0
    assert run("evidence", "bundle", folder, "-o", archive) == 0
    assert run("verify", archive) == 0
    capsys.readouterr()
    assert run("evidence", "ls", tmp_path / "runs", "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "ok"
    assert run("evidence", "prune", tmp_path / "runs", "--keep", "0", "--grace", "0s", "--yes") == 0
    assert sorted(path.name for path in folder.iterdir()) == sorted([name, document_names.PRUNED])


@pytest.mark.parametrize("kind", KINDS)
def test_a_hold_is_told_by_the_blockers_of_its_kind(kind: catalogues.Kind, tmp_path: Path, capsys: Shown) -> None:
    passed, held = publish(tmp_path / "good", kind), publish(tmp_path / "bad", kind, holds=True)
    evidence = catalogues.CATALOGUES[kind].find_short(catalogues.Role.EVIDENCE)

    assert run("verify", held, "--format", "junit") == 3
    assert f'classname="M10F-{evidence}"' in capsys.readouterr().out
    assert run("verify", held, "--format", "sarif") == 3
    assert f"{evidence}/settled" in capsys.readouterr().out
    assert run("evidence", "diff", passed, held, "--json") == 3
    assert evidence in json.loads(capsys.readouterr().out)["blockers_opened"]
    options = [word for kind_name, name in DOCUMENTS.items() for word in (f"--{kind_name}", str(held / name))]
    assert run("adjudicate", "--plan", held / "plan.json", *options) == 3
    shown = capsys.readouterr()
    for line in (shown.out + shown.err).splitlines():
        if "see: burst runbook blocker" in line:
            assert runbook_pages.read_page(line.rpartition(" ")[2]).text


DOCUMENTS = {
    "task-result": cases.TASK_RESULT,
    "metrics": cases.METRICS,
    "facts": cases.FACTS,
    "baseline": document_names.BASELINE,
    "preflight": document_names.preflight_name("m10_f"),
}


def test_evidence_of_one_kind_is_none_of_another(tmp_path: Path, capsys: Shown) -> None:
    folder = publish(tmp_path / "runs", catalogues.Kind.WINDOW)
    (folder / "m10_f_window_snapshot.json").rename(folder / "m10_f_soak_snapshot.json")

    assert run("verify", folder, "--json") == 8
    assert "of kind window" in json.loads(capsys.readouterr().out)["why"]


@pytest.mark.parametrize("kind", PLANNED)
def test_a_plan_of_every_kind_from_init_is_valid_and_asks_about_every_blocker(
    kind: catalogues.Kind, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Shown
) -> None:
    for name in ("IG_API_KEY", "IG_ADMISSION_DSN"):
        monkeypatch.setenv(name, "postgresql://reader:secret@127.0.0.1/none")
    plan, settings = tmp_path / "plan.yaml", list[str]()
    if kind is catalogues.Kind.REPRODUCIBILITY:
        settings = ["--set", f"reproduces.snapshot={publish(tmp_path / 'runs', catalogues.Kind.WINDOW).parent}"]

    assert run("init", "--kind", kind.value, "-o", plan) == 0
    capsys.readouterr()
    assert run("plan", plan, "--json", *settings) == 0
    value = json.loads(capsys.readouterr().out)

    assert value["kind"] == kind.value
    assert value["blockers_nothing_is_asked_about"] == []
    assert run("plan", plan, *settings) == 0
    assert "will stay open" not in capsys.readouterr().out


def test_a_plan_of_another_kind_is_written_for_this_machine(tmp_path: Path, capsys: Shown) -> None:
    assert run("init", "--kind", "soak", "--target", "ecs", "-o", tmp_path / "plan.yaml") == 2
    assert "--kind soak goes with --target local" in capsys.readouterr().err


def test_a_roll_up_from_init_is_a_campaign_file_whose_plans_init_writes_too(tmp_path: Path, capsys: Shown) -> None:
    file = tmp_path / "campaign.yaml"

    assert run("init", "--kind", "rollup", "-o", file) == 0
    assert f"burst campaign run {file}" in capsys.readouterr().err
    campaign = campaign_files.parse(file.read_text(), source=str(file))
    written = {f"{kind}.yaml" for kind in PLANNED}
    assert {step.plan for step in campaign.steps if step.plan is not None} == written
    assert campaign.steps[-1].rollup is not None
