"""Probes in memory; the contract suite keeps them honest."""

from dataclasses import dataclass, field
from datetime import datetime

from burst import ports
from burst.domain.basics import errors
from burst.domain.observations import answers, limits


@dataclass(slots=True)
class CannedProbe:
    """`ports.Probe` that answers `value`, None: that there is none. `takes_seconds`: how long an answer takes."""

    clock: ports.Clock
    value: limits.Value = 3
    scope: str | None = None
    of: datetime | None = None
    takes_seconds: float = 0.0
    asked_at: list[datetime] = field(default_factory=list)

    def ask(self, *, give_up_at: datetime) -> answers.Answer:
        self.asked_at.append(self.clock.now())
        self.clock.sleep(self.takes_seconds)
        if self.clock.now() > give_up_at:
            raise errors.Unavailable("no answer in time")
        if self.value is None:
            raise errors.Unavailable("there is no value")
        return answers.Answer(value=self.value, of=self.of, scope=self.scope)
