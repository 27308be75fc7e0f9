"""Faults by phase: ordered when the journal of the run shows that their phase has begun."""

import json
from pathlib import Path

import pytest

from burst.domain.run.events import codec
from burst.rehearsal import faults, phase_strikes


class Rehearsed:
    """A journal that grows, and the faults that were ordered on it."""

    def __init__(self, folder: Path, *texts: str) -> None:
        self.journal = folder / "run" / "journal.jsonl"
        self.ordered: list[str] = []
        self.strikes = phase_strikes.PhaseStrikes(
            faults.parse_faults(texts), journal=self.journal, order=lambda fault: self.ordered.append(fault.label)
        )

    def write(self, *events: str, end: str = "\n") -> None:
        """Appends events to the journal, as the run does, and looks."""
        self.journal.parent.mkdir(exist_ok=True)
        with self.journal.open("a") as file:
            file.write("\n".join(json.dumps({"event": event, "at": "now"}) for event in events) + end)
        self.strikes.look()


def test_a_fault_is_ordered_when_its_phase_begins_and_never_again(tmp_path: Path) -> None:
    rehearsed = Rehearsed(tmp_path, "ecs-down@bursting+5", "s3-down@3", "sts-down@stopping")

    rehearsed.strikes.look()  # no run has begun, and its journal is not there
    before = [*rehearsed.ordered]
    rehearsed.strikes.begin()
    at_begin = [*rehearsed.ordered]
    rehearsed.write("run-created", "layer-arming", "launch-intended", "launch-answered")
    starting = [*rehearsed.ordered]
    rehearsed.write("go-given")
    rehearsed.write("go-given", "task-seen")

    assert (before, at_begin, starting) == ([], ["s3-down"], ["s3-down"])
    assert rehearsed.ordered == ["s3-down", "ecs-down"]


def test_a_line_that_is_not_whole_yet_is_read_at_the_next_look(tmp_path: Path) -> None:
    rehearsed = Rehearsed(tmp_path, "ecs-down@bursting")

    rehearsed.write("layer-arming")
    rehearsed.write("go-given", end="")
    before = [*rehearsed.ordered]
    rehearsed.write(end="\n")

    assert before == []
    assert rehearsed.ordered == ["ecs-down"]


def test_several_phases_between_two_looks_are_ordered_in_the_order_of_the_phases(tmp_path: Path) -> None:
    rehearsed = Rehearsed(tmp_path, "controller-kill@stopping", "ecs-down@bursting", "capacity@launching")

    rehearsed.write("stop-intended", "go-given", "launch-intended")

    assert rehearsed.ordered == ["capacity", "ecs-down", "controller-kill"]


def test_a_fault_whose_phase_or_seconds_never_came_was_missed(tmp_path: Path) -> None:
    rehearsed = Rehearsed(
        tmp_path, "ecs-down@bursting+60", "s3-down@0", "sts-down@60", "capacity@arming", "one-filter@reconciling"
    )

    rehearsed.strikes.begin()
    rehearsed.write("layer-arming", "go-given")

    assert rehearsed.strikes.find_missed() == ["ecs-down", "sts-down", "one-filter"]


@pytest.mark.parametrize("phase", faults.PHASES)
def test_a_phase_begins_with_an_event_of_the_journal(phase: str) -> None:
    assert faults.PHASES[phase] in codec.EVENTS
