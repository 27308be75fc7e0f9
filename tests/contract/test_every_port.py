"""Every port has one contract suite: a file named for it, whose `PORT` is that Protocol."""

import importlib
import inspect
import re
from pathlib import Path

import pytest

from burst import ports

SUITES = {path.stem for path in Path(__file__).parent.glob("test_*.py")} - {Path(__file__).stem}
PORTS = {
    name: port
    for name, port in inspect.getmembers(ports, inspect.isclass)
    if port.__module__ == ports.__name__ and getattr(port, "_is_protocol", False)
}


def suite_name(port_name: str) -> str:
    return "test_" + re.sub(r"(?<!^)(?=[A-Z])", "_", port_name).lower()


@pytest.mark.parametrize("name", PORTS)
def test_a_port_has_a_suite_that_is_named_for_it_and_names_it(name: str) -> None:
    suite = importlib.import_module(f"tests.contract.{suite_name(name)}")

    assert suite.PORT is PORTS[name]


def test_there_is_no_suite_without_a_port() -> None:
    assert {suite_name(name) for name in PORTS} == SUITES
