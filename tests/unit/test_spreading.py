"""How tests are spread over workers."""

import re
import subprocess
import sys
from pathlib import Path

from tests import spreading, waiting

ROOT = Path(__file__).parents[2]
HOOKS = "from tests.conftest import pytest_collection_modifyitems, pytest_xdist_make_scheduler\n"
FILES = [f"tests/{folder}/test_{name}.py" for folder in ("unit", "aws") for name in "ab"]
"""In the usual order those of tests/aws come first."""
NAMES = "cdefg"


def test_every_name_leads_to_tests() -> None:
    named = {*spreading.LONGEST, *spreading.APART, *spreading.TOGETHER, *spreading.BUSY}

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_a_file_stays_together_unless_its_tests_start_all_they_need() -> None:
    assert spreading.spread_one_by_one("tests/faults/test_operator.py::test_a[x]")
    assert not spreading.spread_one_by_one("tests/faults/test_planted.py::test_a[x]")
    assert not spreading.spread_one_by_one("tests/rehearsal/test_services.py::test_a")


def test_what_keeps_a_core_busy_is_spread_evenly_among_what_waits() -> None:
    assert spreading.mix(list("abcd"), list("12")) == ["a", "1", "b", "c", "2", "d"]
    assert spreading.mix(list("ab"), [], list("1234")) == ["1", "a", "2", "3", "b", "4"]


def order_of(folder: Path, *options: str) -> list[str]:
    """The tests of a small suite, in the order in which one worker ran them."""
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "xdist", "-v", *options],
        cwd=folder, capture_output=True, text=True, timeout=waiting.PROCESS_SECONDS, check=True,
        env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
    )  # fmt: skip
    return list(dict.fromkeys(re.findall(r"tests/\w+/test_\w\.py::test_\w", ended.stdout)))


def files_of(order: list[str]) -> list[str]:
    return list(dict.fromkeys(nodeid.partition("::")[0] for nodeid in order))


def test_a_random_order_goes_through_files_and_within_them_and_a_seed_has_it_again(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\naddopts = --import-mode=importlib\n")
    (tmp_path / "conftest.py").write_text(HOOKS)
    for file in FILES:
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).write_text("\n".join(f"def test_{name}(): pass" for name in NAMES))
    shuffled = ("-p", "randomly", "--randomly-seed")

    first, again = order_of(tmp_path, "-n1", *shuffled, "1"), order_of(tmp_path, *shuffled, "1")
    second = order_of(tmp_path, "-n1", *shuffled, "3")

    usual = [f"{file}::test_{name}" for file in sorted(FILES) for name in NAMES]
    assert first == again
    assert sorted(first) == sorted(second) == sorted(usual)
    assert len({tuple(order) for order in (usual, first, second)}) == 3
    assert len({tuple(files_of(order)) for order in (usual, first, second)}) == 3
    assert all(len(files_of(order)) == len(FILES) for order in (first, second))
    in_one_file = [[nodeid for nodeid in order if nodeid.startswith(FILES[0])] for order in (usual, first, second)]
    assert len({tuple(order) for order in in_one_file}) == 3
