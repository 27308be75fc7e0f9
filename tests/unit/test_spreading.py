"""How tests are spread over workers."""

from pathlib import Path

from tests import spreading

ROOT = Path(__file__).parents[2]


def test_every_name_leads_to_tests() -> None:
    named = {*spreading.LONGEST, *spreading.APART, *spreading.TOGETHER}

    assert [name for name in sorted(named) if not (ROOT / name).exists()] == []


def test_a_file_stays_together_unless_its_tests_start_all_they_need() -> None:
    assert spreading.spread_one_by_one("tests/faults/test_operator.py::test_a[x]")
    assert not spreading.spread_one_by_one("tests/faults/test_planted.py::test_a[x]")
    assert not spreading.spread_one_by_one("tests/rehearsal/test_services.py::test_a")
