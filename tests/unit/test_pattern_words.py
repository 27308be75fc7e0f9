"""The words of patterns: a mistake in a file that people write is told without a regular expression."""

import re
from collections.abc import Iterator
from typing import Any

import pydantic
import pytest

from burst.domain.closure import score_files
from burst.domain.course import campaign_files
from burst.domain.plan import pattern_words, plans
from burst.domain.staging import stage_files
from burst.domain.verdict import owner_files

WRITTEN = (
    plans.Plan,
    campaign_files.CampaignFile,
    stage_files.StageFile,
    score_files.ScoreFile,
    owner_files.OwnerFile,
)
"""The models of every file that people write."""


def list_patterns(value: Any) -> Iterator[str]:
    """Every pattern in a JSON Schema, those of the names in a mapping too."""
    if isinstance(value, dict):
        if isinstance(value.get("pattern"), str):
            yield value["pattern"]
        yield from value.get("patternProperties", ())
        value = list(value.values())
    if isinstance(value, list):
        for part in value:
            yield from list_patterns(part)


@pytest.mark.parametrize("model", WRITTEN, ids=[model.__name__ for model in WRITTEN])
def test_every_pattern_of_a_file_that_people_write_has_words(model: type[pydantic.BaseModel]) -> None:
    patterns = set(list_patterns(model.model_json_schema()))

    assert patterns
    assert patterns - pattern_words.WORDS.keys() == set()


def test_no_words_are_left_of_a_pattern_that_is_gone() -> None:
    used = {pattern for model in WRITTEN for pattern in list_patterns(model.model_json_schema())}

    assert pattern_words.WORDS.keys() - used == set()


@pytest.mark.parametrize("pattern", pattern_words.WORDS)
def test_an_example_fits_its_pattern(pattern: str) -> None:
    example = pattern_words.WORDS[pattern].example

    assert re.search(pattern, example)
    assert pattern_words.describe(pattern).endswith(f"such as {example}")
