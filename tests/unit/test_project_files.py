"""Workflow, issue forms and Renovate settings agree with `pyproject.toml`, the Makefile and the locks.

The forge alone reads these files, so no other test would notice that they grew old.
"""

import itertools
import json
import re
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.released import empty_environment

ROOT = Path(__file__).parents[2]
WORKFLOW = ROOT / ".github" / "workflows" / "check.yml"
FORMS = sorted(path for path in (ROOT / ".github" / "ISSUE_TEMPLATE").glob("*.yml") if path.name != "config.yml")
PYTHON = "Programming Language :: Python :: "


def read_yaml(path: Path) -> dict[str, Any]:
    value: dict[str, Any] = yaml.safe_load(path.read_text())
    return value


def read_job() -> dict[str, Any]:
    """The one job of the workflow."""
    (job,) = read_yaml(WORKFLOW)["jobs"].values()
    assert isinstance(job, dict)
    return job


def read_names(requirements: Iterable[str]) -> set[str]:
    """The packages that requirements name, without extras and bounds."""
    return {re.split(r"[\s;<>=!~\[(]", requirement, maxsplit=1)[0] for requirement in requirements}


def test_the_workflow_runs_on_every_python_the_project_names() -> None:
    classifiers = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["classifiers"]
    job = read_job()

    assert job["strategy"]["matrix"]["python"] == [
        classifier.removeprefix(PYTHON) for classifier in classifiers if re.fullmatch(PYTHON + r"3\.\d+", classifier)
    ]
    assert job["env"] == {"BASE_PYTHON": "python${{ matrix.python }}"}
    assert "${BASE_PYTHON:-" in (ROOT / "scripts" / "environment").read_text()


def test_the_workflow_calls_make_check_and_make_test_and_nothing_else() -> None:
    commands = [step["run"] for step in read_job()["steps"] if "run" in step]

    assert commands == ["make check", "make test"]


def test_the_workflow_may_only_read_and_ends_by_itself() -> None:
    job = read_job()

    assert read_yaml(WORKFLOW)["permissions"] == {"contents": "read"}
    assert "permissions" not in job
    assert 0 < job["timeout-minutes"] <= 60
    assert not job["strategy"]["fail-fast"]


def test_every_action_is_pinned_by_commit_with_its_tag_behind_it() -> None:
    used = re.findall(r"uses: (.*)", WORKFLOW.read_text())

    assert [action for action in used if not re.fullmatch(r"actions/[a-z-]+@[0-9a-f]{40} # v[0-9.]+", action)] == []
    assert len(used) == len([step for step in read_job()["steps"] if "uses" in step]) > 0


def test_the_cache_of_the_workflow_follows_every_lock() -> None:
    (cached,) = [step["with"] for step in read_job()["steps"] if "cache" in step.get("with", {})]

    assert set(ROOT.glob(cached["cache-dependency-path"])) == set((ROOT / "requirements").iterdir())


@pytest.mark.parametrize("form", FORMS, ids=lambda form: str(form.name))
def test_an_issue_form_has_every_field_that_the_forge_requires(form: Path) -> None:
    value = read_yaml(form)
    questions = [entry for entry in value["body"] if entry["type"] != "markdown"]
    names = [entry["id"] for entry in questions]

    assert value["name"]
    assert value["description"]
    assert {entry["type"] for entry in value["body"]} <= {"markdown", "input", "textarea", "checkboxes"}
    assert all(entry["attributes"]["label"] for entry in questions)
    assert len(names) == len(set(names)) > 0


def test_a_bug_report_asks_for_version_command_and_journal_and_warns_of_secrets() -> None:
    text = (ROOT / ".github" / "ISSUE_TEMPLATE" / "bug.yml").read_text()

    for needed in ("burst --version", "exit code", "journal.jsonl", "burst preflight PLAN --json", "SECURITY.md"):
        assert needed in text
    assert "Paste no secret" in text


def test_a_vulnerability_is_led_away_from_public_issues() -> None:
    settings = read_yaml(ROOT / ".github" / "ISSUE_TEMPLATE" / "config.yml")
    (contact,) = settings["contact_links"]

    assert not settings["blank_issues_enabled"]
    assert "SECURITY.md" in contact["about"]
    for words in (contact["about"], (ROOT / "SECURITY.md").read_text()):
        assert "Security > Report a vulnerability" in words


def test_renovate_matches_every_lock_groups_every_development_tool_and_names_no_host() -> None:
    text = (ROOT / "renovate.json").read_text()
    settings = json.loads(text)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    (tools,) = [rule for rule in settings["packageRules"] if rule.get("groupName") == "development tools"]
    (pattern,) = settings["pip-compile"]["managerFilePatterns"]
    locks = [str(path.relative_to(ROOT)) for path in (ROOT / "requirements").iterdir()]
    development = set(project["optional-dependencies"]["dev"])
    every = itertools.chain(project["dependencies"], *project["optional-dependencies"].values())

    assert [lock for lock in locks if not re.fullmatch(pattern.strip("/"), lock)] == []
    assert read_names(development) - {"burst"} == {
        name for name in read_names(every) if any(Path(name).match(glob) for glob in tools["matchPackageNames"])
    }
    assert re.findall(r"https?://[^\"\s]+", text) == ["https://docs.renovatebot.com/renovate-schema.json"]


LOCK_OPTIONS = {
    "--constraint",
    "--extra",
    "--generate-hashes",
    "--group",
    "--no-strip-extras",
    "--output-file",
    "--python-version",
    "--universal",
}
"""Renovate gives these again; with any other option in the header it refreshes nothing, or not the same lock."""


@pytest.mark.parametrize("lock", sorted((ROOT / "requirements").iterdir()), ids=lambda path: path.name)
def test_the_header_of_a_lock_is_a_command_that_renovate_can_give_again(lock: Path) -> None:
    command = lock.read_text().splitlines()[1].removeprefix("#    ").split()

    assert command[:4] == ["uv", "pip", "compile", "pyproject.toml"]
    assert [word for word in command[4:] if not re.fullmatch(r"--[a-z-]+(=\S+)?", word)] == []
    assert f"--output-file=requirements/{lock.name}" in command
    assert {word.partition("=")[0] for word in command[4:]} <= LOCK_OPTIONS


def test_the_pins_of_the_empty_environment_have_neither_extras_nor_hashes_which_pip_takes_in_no_constraint() -> None:
    lock = (ROOT / "requirements" / "dev.lock").read_text()

    pins = empty_environment.read_pins(lock).splitlines()

    assert "psycopg[binary]==" in lock
    assert [pin for pin in pins if not re.fullmatch(r"[\w.-]+==[\w.+]+( ; .+)?", pin)] == []
    assert {pin.partition("==")[0] for pin in pins} >= {"psycopg", "pydantic", "locust"}
