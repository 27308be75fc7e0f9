"""ARCHITECTURE.md and the pages of docs agree with the code: rooms, the members of a target, sums, glossary, account.

What they say of files and commands `tests/runbooks/test_pages.py` holds.
"""

import configparser
import inspect
import math
import re

import pytest

from burst.load import load_account
from burst.wiring.targets import targets
from tests.runbooks import pages

ARCHITECTURE = (pages.ROOT / "ARCHITECTURE.md").read_text()


@pytest.mark.parametrize(("folder", "prefix"), [("burst", "burst/"), ("burst/domain", "")])
def test_every_room_has_its_line(folder: str, prefix: str) -> None:
    rooms = {path.parent.name + "/" for path in (pages.ROOT / folder).glob("*/__init__.py")}
    rooms |= {path.name for path in (pages.ROOT / folder).glob("*.py") if not path.name.startswith("__")}

    assert {room for room in rooms if f"| `{prefix}{room}` |" not in ARCHITECTURE} == set()


@pytest.mark.parametrize(("contract", "first"), [("layers", "console"), ("domain-rooms", "closure")])
def test_the_line_of_imports_is_the_contract(contract: str, first: str) -> None:
    contracts = configparser.ConfigParser()
    contracts.read(pages.ROOT / ".importlinter")
    layers = contracts[f"importlinter:contract:{contract}"]["layers"].replace("(", "").replace(")", "").split("\n")
    (line,) = re.findall(rf"^{first} > .*$", ARCHITECTURE, re.MULTILINE)

    assert line == " > ".join(layer.strip() for layer in layers if layer.strip() and layer.strip() != "__main__")


def test_a_third_target_is_told_every_member_that_it_needs() -> None:
    section = ARCHITECTURE.partition("\n## A target\n")[2].partition("\n## ")[0]
    members = [name for name, _ in inspect.getmembers(targets.Target) if not name.startswith("_")]

    assert [name for name in members if f"`{name}`" not in section] == []
    assert len(members) > 10


def test_the_ends_by_each_layer_are_the_sums_of_their_page() -> None:
    told = re.findall(r"(\d+) s (?:after the deadline )?by (L\d)", ARCHITECTURE)
    layers = {"L0": "guard", "L1": "sidecar", "L2": "lease", "L3": "schedule", "L4": "sweeper", "L5": "controller"}
    page = (pages.FOLDER / "worst-ends.md").read_text()
    sums = re.findall(r"^\| (\w+) \| .* \| ([\d.]+) s \|$", page, re.MULTILINE)

    assert {layers[level]: int(seconds) for seconds, level in told} == {
        layer: math.ceil(float(seconds)) for layer, seconds in sums
    }
    assert len(sums) == len(layers)


def test_the_glossary_gives_each_word_once_in_each_of_its_meanings() -> None:
    text = (pages.ROOT / "docs" / "glossary.md").read_text()
    first, second = text.split("## Words with a second meaning that stays")
    for part in (first, second.partition("\n## ")[0]):
        words = re.findall(r"^\| \**([^|*]+?)\** \|", part, re.MULTILINE)

        assert sorted({word for word in words if words.count(word) > 1} - {"word", "---"}) == []


def test_the_lines_on_the_page_of_the_load_account_are_lines_of_an_account() -> None:
    text = (pages.ROOT / "docs" / "load-account.md").read_text()
    (block,) = re.findall(r"```json\n(.*?)```", text, re.DOTALL)
    account = load_account.LoadAccount()

    for line in block.splitlines():
        account.add_line(line.encode())

    assert account.bad_lines == 0
    assert sum(counts["sent"] for counts in account.seconds.values()) == 2
    assert (dict(account.failed), dict(account.markers)) == ({"timeout": 1}, {"batch-3": 1})
    written = set(re.findall(r'"(\w+)":', block))
    assert written == {"at", *re.findall(r"^\| `(\w+)` \|", text, re.MULTILINE)}
