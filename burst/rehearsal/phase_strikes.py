"""Faults by phase: follows the journal of the rehearsed run, and orders each fault when its phase begins.

The journal is followed from outside, because a run must not know that it is rehearsed. Its lines are durable before the
run acts on them, so a fault strikes at most a look after its phase began.
"""

import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from burst.rehearsal import faults

Order = Callable[[faults.Fault], None]
"""Puts a fault in force, its seconds counted from now."""


class PhaseStrikes:
    """The faults of a command line, on the journal of one run. Faults by seconds count from `begin`."""

    def __init__(self, ordered: Sequence[faults.Fault], *, journal: Path, order: Order) -> None:
        self.ordered = tuple(ordered)
        self._journal = journal
        self._order = order
        self._read_bytes = 0
        self._begun: dict[str | None, float] = {}

    def begin(self) -> None:
        """Orders the faults that wait for no phase. The run has just been started."""
        self._note_begin(None)

    def look(self) -> None:
        """Orders the faults whose phase has begun since the last look. Only its first time counts."""
        events = self._read_events()
        for phase, event in faults.PHASES.items():
            if event in events and phase not in self._begun:
                self._note_begin(phase)

    def find_missed(self) -> list[str]:
        """The labels of the faults that the run, which ends now, shows nothing about: it never came to them."""
        now = time.monotonic()
        return [
            fault.label
            for fault in self.ordered
            if fault.phase not in self._begun or self._begun[fault.phase] + fault.at_seconds > now
        ]

    def _note_begin(self, phase: str | None) -> None:
        self._begun[phase] = time.monotonic()
        for fault in self.ordered:
            if fault.phase == phase:
                self._order(fault)

    def _read_events(self) -> set[str]:
        """The names of the events in the whole lines that the journal has gained."""
        try:
            with open(self._journal, "rb") as file:
                file.seek(self._read_bytes)
                lines, _, _ = file.read().rpartition(b"\n")
        except FileNotFoundError:
            return set()
        self._read_bytes += len(lines) + 1 if lines else 0
        return {str(json.loads(line)["event"]) for line in lines.splitlines() if line}
