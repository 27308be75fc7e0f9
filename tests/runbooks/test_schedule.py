"""The page of the schedule: the words that cron and EventBridge would run are ones that burst takes."""

import json
import re

import pytest

from tests.runbooks import pages, parsing

TEXT = (pages.FOLDER / "schedule.md").read_text()
JSON_BLOCKS = [json.loads(block) for block in re.findall(r"```json\n(.*?)```", TEXT, re.DOTALL)]
CRON_LINES = [line for block in re.findall(r"```text\n(.*?)```", TEXT, re.DOTALL) for line in block.splitlines()]
OVERRIDES = [override for block in JSON_BLOCKS for override in block.get("containerOverrides", ())]


@pytest.mark.parametrize("override", OVERRIDES, ids=[each["command"][0] for each in OVERRIDES])
def test_the_words_of_a_scheduled_task_are_ones_that_burst_takes(override: dict[str, list[str]]) -> None:
    assert parsing.check(override["command"])


def test_one_scheduled_task_runs_and_another_complains_and_a_rule_hears_of_it() -> None:
    (rule,) = [block for block in JSON_BLOCKS if "source" in block]

    assert [override["command"][0] for override in OVERRIDES] == ["campaign", "latest"]
    assert "--max-age" in OVERRIDES[1]["command"]
    assert rule["detail"]["containers"]["exitCode"] == [{"anything-but": 0}]


def test_every_line_of_the_table_of_cron_is_five_fields_and_a_command_that_burst_takes() -> None:
    entries = [line for line in CRON_LINES if "=" not in line.split()[0]]

    assert len(entries) == 2
    for line in entries:
        fields = line.split()[:5]
        assert all(re.fullmatch(r"[\d*/,-]+", each) for each in fields), line
        commands = list(parsing.invocations(line.split(None, 5)[5]))
        assert commands
        assert all(parsing.check(words) for words in commands), line
