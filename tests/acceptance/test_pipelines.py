"""The action and the examples for pipelines, each played by a shell as its runner would."""

import dataclasses
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import junitparser
import pytest
import yaml

from tests import waiting
from tests.evidence import evidencing

ROOT = Path(__file__).parents[2]
ACTION = ROOT / ".github" / "actions" / "gate" / "action.yml"
PIPELINES = ROOT / "docs" / "pipelines"
PUBLIC_KEY = ROOT / "tests" / "fixtures" / "documents" / "v1" / "0.1.0" / "signing.pem.pub"
PASSED, HELD = "m10_20260221T020923Z_000001", "m10_20260221T030923Z_000002"


@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class Runner:
    """A folder in which a script finds `burst`, a `gh` that notes its words, and runs of one phase."""

    folder: Path

    def play(self, script: str, **environment: str) -> int:
        """The exit code of a script, run as `bash -e`."""
        given = {
            "PATH": f"{self.folder / 'bin'}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "GITHUB_OUTPUT": str(self.folder / "output"),
            "GITHUB_STEP_SUMMARY": str(self.folder / "summary"),
        }
        with (self.folder / "stdout").open("w") as stdout:
            return subprocess.run(
                ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script],
                cwd=self.folder,
                env={**given, **environment},
                stdout=stdout,
                timeout=waiting.PROCESS_SECONDS,
                check=False,
            ).returncode

    def read(self, name: str) -> str:
        """The text of a file there, empty where there is none."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    made = Runner(folder=tmp_path)
    (tmp_path / "bin").mkdir()
    for name, words in (("burst", f'exec {sys.executable} -m burst "$@"'), ("gh", 'echo "$*" >> "$HOME/gh"')):
        (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{words}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    evidencing.folder(tmp_path / "runs", PASSED, evidencing.published(evidencing.case(PASSED)))
    return made


def hold(runner: Runner) -> None:
    """A newer attempt, which holds."""
    evidencing.folder(runner.folder / "runs", HELD, evidencing.published(evidencing.case(HELD, passing=False)))


def gate(runner: Runner, **inputs: str) -> int:
    """Plays the composite action with these inputs."""
    action = yaml.safe_load(ACTION.read_text())
    given = {name.replace("_", "-"): value for name, value in inputs.items()}
    assert given.keys() <= action["inputs"].keys()
    (step,) = action["runs"]["steps"]
    named = {name: re.fullmatch(r"\$\{\{ inputs\.(.+) \}\}", value) for name, value in step["env"].items()}
    environment = {name: given.get(found[1], "") for name, found in named.items() if found is not None}
    assert environment.keys() == step["env"].keys()
    return runner.play(step["run"], **environment)


def test_the_action_passes_a_pass_and_says_so_everywhere(runner: Runner) -> None:
    assert gate(runner, place="runs", phase="M10.F", junit="burst.xml", sarif="burst.sarif") == 0

    assert runner.read("output") == "exit-code=0\n"
    assert runner.read("summary").startswith("### burst: PASS, phase M10.F\n")
    assert runner.read("stdout").startswith(
        "::notice file=m10_f_burst_snapshot.json,line=1,title=burst%3A PASS::M10.F,"
    )
    assert '"results": []' in runner.read("burst.sarif")
    (suite,) = junitparser.JUnitXml.fromfile(str(runner.folder / "burst.xml"))
    assert (suite.failures, suite.errors) == (0, 0)


def test_the_action_fails_with_the_exit_code_of_burst_and_writes_every_form_all_the_same(runner: Runner) -> None:
    hold(runner)

    assert gate(runner, place="runs", phase="M10.F", junit="burst.xml") == 3

    assert runner.read("output") == "exit-code=3\n"
    assert "1 blocker open" in runner.read("summary")
    assert "::error file=m10_f_burst_snapshot.json,line=1,title=M10F-B1 profile not achieved::" in runner.read("stdout")
    (suite,) = junitparser.JUnitXml.fromfile(str(runner.folder / "burst.xml"))
    assert {case.classname for case in suite if case.result} == {"M10F-B1"}


@pytest.mark.parametrize(
    ("inputs", "code"),
    [
        ({"place": f"runs/{PASSED}"}, 0),
        ({"place": "runs", "phase": "M10.Z"}, 7),
        ({"place": "runs", "phase": "M10.F", "max_age": "1d"}, 7),
        ({"place": f"runs/{PASSED}", "key": str(PUBLIC_KEY)}, 8),
        ({"place": f"runs/{PASSED}", "key": "no-such.pem"}, 2),
        ({"place": "runs/$(touch owned); touch owned"}, 7),
        ({"place": "runs", "phase": '"; touch owned; "'}, 7),
        ({"place": "--help"}, 7),
        ({"place": "--version"}, 7),
        ({"place": "--help", "phase": "M10.F"}, 7),
        ({"place": "runs", "phase": "--help"}, 7),
        ({"place": f"runs/{PASSED}", "max_age": "1d"}, 2),
    ],
    ids=[
        *(
            "one run",
            "no such phase",
            "too old",
            "unsigned",
            "no such key",
            "a place that is a command",
            "a phase that is one",
        ),
        *("a place that is an option", "another", "one beside a phase", "a phase that is one", "an age of no phase"),
    ],
)
def test_the_action_ends_with_what_burst_ends_with(runner: Runner, inputs: dict[str, str], code: int) -> None:
    assert gate(runner, **inputs) == code

    assert runner.read("output") == f"exit-code={code}\n"
    assert not (runner.folder / "owned").exists()


@pytest.mark.parametrize(("inputs", "code"), [({"phase": "M10.F"}, 8), ({}, 8)], ids=["latest", "verify"])
def test_the_action_says_everywhere_that_a_bundle_is_broken(runner: Runner, inputs: dict[str, str], code: int) -> None:
    (runner.folder / "b.zip").write_bytes(b"PK\3\4 and no more")

    assert gate(runner, place="b.zip", junit="burst.xml", **inputs) == code

    assert runner.read("stdout").startswith("::error file=plan.json,line=1,title=burst%3A evidence corrupt::")
    assert "no verdict can be relied on (corrupt)" in runner.read("summary")
    (suite,) = junitparser.JUnitXml.fromfile(str(runner.folder / "burst.xml"))
    assert suite.errors == 1


def test_the_action_refuses_a_document_that_has_no_gates(runner: Runner) -> None:
    (runner.folder / "m10_closure.json").write_text("{}")

    assert gate(runner, place="m10_closure.json", junit="burst.xml") == 2

    assert runner.read("summary") == "### burst: no verdict, exit code 2 (see the log of the step)\n"
    assert runner.read("burst.xml") == ""


def test_no_job_has_the_name_of_the_required_check() -> None:
    """A job that is skipped counts as a success, and a label of another name skips it."""
    workflow = yaml.safe_load((PIPELINES / "github.yml").read_text())
    (context,) = set(re.findall(r"context=(\w+)", (PIPELINES / "github.yml").read_text()))

    assert context == "burst"
    assert context not in {job.get("name", name) for name, job in workflow["jobs"].items()}


def test_the_gate_of_the_check_reads_the_run_of_its_own_job_and_no_newer_one(runner: Runner) -> None:
    """Two pull requests may measure at the same time: the newest run of the phase may be the other's."""
    (job,) = yaml.safe_load((PIPELINES / "github.yml").read_text())["jobs"].values()
    (given,) = (step["with"] for step in job["steps"] if step.get("id") == "gate")
    variables = {"env.RUN_CONTROL": "runs", "env.EXECUTION_ID": HELD}
    inputs = {
        name.replace("-", "_"): re.sub(r"\$\{\{ (.+?) \}\}", lambda found: variables[found[1]], value)
        for name, value in given.items()
    }
    hold(runner)
    newest = "m10_20260221T040923Z_000003"
    evidencing.folder(runner.folder / "runs", newest, evidencing.published(evidencing.case(newest)))

    assert gate(runner, **inputs) == 3
    assert '--execution-id "$EXECUTION_ID"' in steps_of_github()["burst"]["run"]


def steps_of_github() -> dict[str, dict[str, Any]]:
    """The steps of the workflow that have a name."""
    (job,) = yaml.safe_load((PIPELINES / "github.yml").read_text())["jobs"].values()
    return {step["name"]: step for step in job["steps"] if "name" in step}


@pytest.mark.parametrize(("exit_code", "state"), [("0", "success"), ("3", "failure"), ("", "failure")])
def test_the_required_check_is_pending_before_the_run_and_green_on_a_pass_alone(
    runner: Runner, exit_code: str, state: str
) -> None:
    steps = steps_of_github()
    given = {"REPOSITORY": "owner/name", "COMMIT": "0123abc", "PHASE": "M10.F"}

    assert runner.play(steps["say that a burst is to come"]["run"], **given) == 0
    assert runner.play(steps["say how it ended"]["run"], **given, EXIT_CODE=exit_code) == 0

    before, after = runner.read("gh").splitlines()
    assert "repos/owner/name/statuses/0123abc" in before
    assert "state=pending" in before
    assert f"state={state} " in after
    assert steps["say how it ended"]["if"] == "always()"


@pytest.mark.parametrize(("code", "goes_on"), [(0, True), (3, True), (2, False), (4, False), (5, False), (6, False)])
def test_only_a_run_that_reached_a_published_verdict_comes_to_the_gate(
    runner: Runner, code: int, goes_on: bool
) -> None:
    (runner.folder / "bin" / "burst").write_text(f"#!/bin/sh\nexit {code}\n")

    ended = runner.play(steps_of_github()["burst"]["run"])

    assert ended == (0 if goes_on else code)


def script_of_gitlab() -> str:
    """The script of the gate's job."""
    job = yaml.safe_load((PIPELINES / "gitlab.yml").read_text())["burst gate"]
    assert job["allow_failure"] is False
    return "\n".join(job["script"])


def script_of_jenkins() -> str:
    """The shell of the gate's stage."""
    found = re.search(r"sh '''(.*?)'''", (PIPELINES / "Jenkinsfile").read_text(), re.DOTALL)
    assert found is not None
    return found[1]


@pytest.mark.parametrize("script", [script_of_gitlab(), script_of_jenkins()], ids=["gitlab", "jenkins"])
def test_a_stage_before_the_release_ends_as_the_newest_attempt_does(runner: Runner, script: str) -> None:
    in_time = script.replace("--max-age 7d", "--max-age 999d")
    assert in_time != script

    assert runner.play(script, RUN_CONTROL="runs", PHASE="M10.F") == 7  # the attempt is of last February
    assert runner.play(in_time, RUN_CONTROL="runs", PHASE="M10.F") == 0
    hold(runner)
    assert runner.play(in_time, RUN_CONTROL="runs", PHASE="M10.F") == 3

    (suite,) = junitparser.JUnitXml.fromfile(str(runner.folder / "burst.xml"))
    assert {case.classname for case in suite if case.result} == {"M10F-B1"}
