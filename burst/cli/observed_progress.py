"""Observed series while a run goes on: the last value of each, for the progress line and for `burst status`."""

from collections.abc import Sequence
from typing import Any

from burst.domain.basics import instants
from burst.domain.observations import samples
from burst.domain.run import runs
from burst.report import figures


def describe_last(run: runs.Run) -> str:
    """The last answer of each series, such as `max_lag 3, checkpoint no answer`; empty without a series."""
    return ", ".join(f"{name} {_word(taken)}" for name, taken in run.observed.items())


def _word(taken: Sequence[samples.Sample]) -> str:
    last = taken[-1]
    return "no answer" if last.value is None else figures.number(last.value)


def list_fields(run: runs.Run) -> list[dict[str, Any]]:
    """Each series with its last sample, as `burst status --json` has it."""
    return [
        {
            "series": name,
            "samples": len(taken),
            "silent": sum(sample.value is None for sample in taken),
            "last_asked_utc": instants.text(taken[-1].asked_at),
            "last_value": taken[-1].value,
            "last_detail": taken[-1].detail,
        }
        for name, taken in run.observed.items()
    ]
