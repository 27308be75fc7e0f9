"""Stop signs in memory: the switch of a run control, and alarms; the contract suites keep them honest."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from burst.domain.basics import errors
from burst.domain.documents import halts, models
from burst.domain.tasks import stop_signs


@dataclass(slots=True)
class MemoryHaltSwitch:
    """`ports.HaltSwitch` in memory. `content` are the bytes under its name; with `down` set nobody can read them."""

    content: bytes | None = None
    down: bool = False
    address: str = "memory/halt.json"
    reads: int = 0
    answering: threading.Event = field(default_factory=threading.Event)
    """Cleared: a reading waits until it is set."""

    def __post_init__(self) -> None:
        self.answering.set()

    def read(self) -> halts.Halt | None:
        self.reads += 1
        self.answering.wait()
        if self.down:
            raise errors.EvidenceUnknown(f"{self.address} cannot be read: access denied")
        if self.content is None:
            return None
        try:
            return models.read(halts.Halt, self.content)
        except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
            raise errors.EvidenceUnknown(f"{self.address} is no halt: {exc}") from exc

    def set_halt(self, halt: halts.Halt) -> halts.Halt:
        earlier = self.read()
        if earlier is not None:
            return earlier
        self.content = halt.content()
        return halt

    def lift(self) -> bool:
        before, self.content = self.content, None
        return before is not None


@dataclass(slots=True)
class FakeAlarms:
    """`ports.Alarms` in memory: the alarms in `standing`, and why those in `failing` cannot be read."""

    standing: dict[str, stop_signs.Alarm] = field(default_factory=dict)
    failing: dict[str, errors.BurstError] = field(default_factory=dict)
    looks: list[tuple[str, ...]] = field(default_factory=list)

    def look(self, arns: Sequence[str]) -> Mapping[str, stop_signs.Alarm | errors.BurstError]:
        self.looks.append(tuple(arns))
        return {arn: self._answer(arn) for arn in arns}

    def set_state(self, arn: str, state: stop_signs.AlarmState, reason: str = "") -> None:
        """The alarm stands in that state from now on."""
        self.standing[arn] = stop_signs.Alarm(arn=arn, state=state, reason=reason)

    def _answer(self, arn: str) -> stop_signs.Alarm | errors.BurstError:
        if arn in self.failing:
            return self.failing[arn]
        return self.standing.get(arn, errors.Refused(f"there is no alarm {arn}"))
