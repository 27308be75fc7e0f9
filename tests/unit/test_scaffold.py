"""What the rest of the repository takes for granted: sound locks, and a test process nobody has patched."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LOCKS = ["run.lock", "rehearse.lock", "dev.lock"]
"""Each is made on top of the one before it."""
TOOLS = ("hypothesis", "mypy", "pre-commit", "ruff", "numpy", "scipy", "cfn-lint")


def locked(name: str) -> dict[str, str]:
    """Each requirement line of a lock, with the hash lines that follow it."""
    text = (ROOT / "requirements" / name).read_text()
    return dict(re.findall(r"^([a-z0-9][^=\n]*==.*?) \\\n((?:    .*\n?)+)", text, re.MULTILINE))


@pytest.mark.parametrize("name", LOCKS)
def test_every_locked_requirement_has_a_hash(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()
    requirements = locked(name)

    assert len(requirements) == len(re.findall(r"^[^\s#]", text, re.MULTILINE)) > 40
    assert all("--hash=sha256:" in rest for rest in requirements.values())


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_names_no_address(name: str) -> None:
    text = (ROOT / "requirements" / name).read_text()

    assert not re.search(r"://|--(extra-)?index-url|--find-links", text)


def test_each_environment_holds_all_that_the_smaller_ones_hold() -> None:
    """The same versions; what only Windows or PyPy needs for a run may be needed everywhere for development."""
    run, rehearse, dev = (
        {re.sub(r"\[.*\]", "", requirement).partition(" ;")[0] for requirement in locked(name)} for name in LOCKS
    )

    assert run < rehearse < dev


@pytest.mark.parametrize("name", ["run.lock", "rehearse.lock"])
def test_a_newcomer_installs_no_tool_of_development(name: str) -> None:
    names = {re.split(r"\[|==", requirement)[0] for requirement in locked(name)}

    assert names.isdisjoint(TOOLS)
    assert {"scripts/environment run", "scripts/environment rehearse"} == set(
        re.findall(
            r"(?:^demo|^rehearse):.*\n\t@(scripts/environment \w+)", (ROOT / "Makefile").read_text(), re.MULTILINE
        )
    )


def test_locusts_plugin_does_not_patch_the_test_process(pytestconfig: pytest.Config) -> None:
    assert not pytestconfig.pluginmanager.has_plugin("locust")
