"""Attempts: each run of a phase under one run control has a number, and knows every attempt before it.

The claim `attempts/{slug}/{number}.json` and the run's own document are the same bytes. So a verdict says the
number of its attempt, whatever the terms were, and a PASS after three HOLDs never reads like a first one.
"""

import re
from collections.abc import Sequence
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.basics import canonical, errors, wording
from burst.domain.documents import models

FOLDER = "attempts"
_NAME = re.compile(r"([1-9][0-9]{0,8})\.json")


class EarlierAttempt(models.Model):
    """One attempt before: its verdict and the digest of its snapshot, None where it had none yet."""

    execution_id: str
    verdict: Literal["PASS", "HOLD"] | None
    """The verdict of its snapshot; None where it had none yet when the later attempt began."""
    sha256: models.Digest | None
    """SHA-256 of its snapshot's bytes; None where it had none yet."""
    contract: models.Digest
    """The digest of the terms it was begun with."""
    promoted: dict[str, models.Digest] = pydantic.Field(default_factory=dict)
    """The gates that were required by a promotion, each with its digest."""


class AttemptClaim(models.Model):
    """`{slug}_attempt.json`: the number of a run among the attempts of its phase, and those before it."""

    schema_: Annotated[Literal["burst.attempt/v1"], pydantic.Field(alias="schema")] = "burst.attempt/v1"
    execution_id: str
    platform_run_id: str
    phase: str
    """The phase that the attempts are counted of."""
    number: Annotated[int, pydantic.Field(ge=1)]
    """How many attempts at the phase were begun under this run control up to this one, from 1."""
    contract: models.Digest
    """The digest of the terms that the run was begun with."""
    claimed_utc: models.Instant
    """When the number was taken, before the launch, by the controller's clock."""
    earlier: list[EarlierAttempt]
    """Every attempt before it, the first one first, as it stood when this one began."""
    promoted: dict[str, models.Digest] = pydantic.Field(default_factory=dict)
    """The gates that are required by a promotion, each with its digest."""

    @pydantic.model_validator(mode="after")
    def _whole(self) -> Self:
        if self.number != len(self.earlier) + 1:
            raise ValueError(f"attempt {self.number} has to name the {self.number - 1} before it")
        return self

    @property
    def entry(self) -> EarlierAttempt:
        """This attempt among those before the next one."""
        return EarlierAttempt(
            execution_id=self.execution_id, verdict=None, sha256=None, contract=self.contract, promoted=self.promoted
        )


def make_name(number: int) -> str:
    """The name of a claim in the folder of its phase."""
    return f"{number}.json"


def find_last(names: Sequence[str]) -> int:
    """The highest number that is claimed, by the names of all claims; 0 where there is none."""
    return max((int(match[1]) for name in names if (match := _NAME.fullmatch(name))), default=0)


def read_verdict(entry: EarlierAttempt, snapshot: bytes) -> EarlierAttempt:
    """An earlier attempt with the verdict of its snapshot; without one where that says none plainly."""
    try:
        value = canonical.decode(snapshot)
    except errors.EvidenceCorrupt:
        return entry
    passed = value.get("overall_pass") if isinstance(value, dict) else None
    if not isinstance(passed, bool) or value.get("execution_id") != entry.execution_id:
        return entry
    fields = {"verdict": "PASS" if passed else "HOLD", "sha256": canonical.digest(snapshot)}
    return entry.model_copy(update=fields)


def count_verdicts(earlier: Sequence[EarlierAttempt]) -> str:
    """The verdicts of earlier attempts in words: `3 HOLD, 1 PASS, 1 without a verdict`; empty where there are none."""
    counted = {
        word: sum(entry.verdict == verdict for entry in earlier)
        for verdict, word in (("HOLD", "HOLD"), ("PASS", "PASS"), (None, "without a verdict"))
    }
    return ", ".join(f"{count} {word}" for word, count in counted.items() if count)


def count_other_terms(earlier: Sequence[EarlierAttempt], contract: str) -> int:
    """How many of the attempts that held were begun with other terms than these, by their digest."""
    return sum(entry.verdict == "HOLD" and entry.contract != contract for entry in earlier)


def describe(number: int, earlier: Sequence[EarlierAttempt], contract: str) -> str:
    """An attempt in words, such as `attempt 4, after 3 HOLDs, 2 of them by other terms`; empty where none before it
    held."""
    held = sum(entry.verdict == "HOLD" for entry in earlier)
    other_terms = count_other_terms(earlier, contract)
    words = f"attempt {number}, after {wording.format_count(held, 'HOLD')}" if held else ""
    return f"{words}, {other_terms} of them by other terms" if other_terms else words
