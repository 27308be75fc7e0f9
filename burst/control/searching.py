"""The shell of a search for the highest rate: performs what `rate_searches` decides, each intent journalled before its
act.

Nothing is remembered but by the journal. A probe that was played is never played again: a process that follows one that
died looks for its run by the id, and continues it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from burst import ports
from burst.domain.basics import instants, redaction
from burst.domain.course import criteria, rate_searches, search_events


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbeEnd:
    """A run with a verdict: what it says of its rate, and where its evidence lies."""

    judged: criteria.Judged
    usd: float | None
    place: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LostProbe:
    """A run that says nothing of its rate. `error`: the error that ends the command, after the loss is journalled."""

    reason: str
    usd: float | None
    error: Exception | None = None


ProbeAnswer: TypeAlias = ProbeEnd | LostProbe


class SearchInterrupted(Exception):
    """A signal ended a probe in order, and the search goes on when it is resumed. `exit_code`: that of the signal."""

    def __init__(self, exit_code: int) -> None:
        super().__init__(f"interrupted with {exit_code}")
        self.exit_code = exit_code


class ProbeDriver(Protocol):
    """What plays probes."""

    def make_run_id(self) -> str:
        """A new id for a run."""
        ...

    def take(self, probe: rate_searches.RateProbe) -> ProbeAnswer:
        """Plays a probe that nobody began. Raises a `BurstError` where its run has begun and has no verdict."""
        ...

    def go_on(self, probe: rate_searches.RateProbe) -> ProbeAnswer:
        """Continues the run of a probe that was intended, by its id. Raises as `take`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchParts:
    """The outside world of a search."""

    driver: ProbeDriver
    journal: ports.CourseJournal[search_events.SearchEvent]
    clock: ports.Clock
    say: Callable[[str], None]
    redactor: redaction.Redactor


class SearchRunner:
    """Performs the acts of one search until it ends. The lock is held by the caller."""

    def __init__(self, parts: SearchParts) -> None:
        self._parts = parts
        self.search = search_events.FORM.fold(parts.journal.lines())

    def note(self, event: search_events.SearchEvent) -> None:
        """Journals an event durably."""
        self.search = search_events.FORM.fold([self._parts.journal.append(event)], self.search)

    def drive(self) -> rate_searches.SearchCourse:
        """Plays probe after probe; returns at the end. Raises what ends the command before it."""
        while self.search.ending is None:
            act = rate_searches.decide(self.search, self._parts.clock.now())
            match act:
                case rate_searches.EndSearch():
                    self.note(search_events.SearchEnded(ending=act.ending))
                case rate_searches.BeginProbe():
                    self._begin(act)
                case rate_searches.ContinueProbe():
                    self._say(f"probe {act.probe.number} goes on ({act.probe.run_id})")
                    self._note_answer(act.probe, self._parts.driver.go_on)
        return self.search

    def _begin(self, act: rate_searches.BeginProbe) -> None:
        run_id = self._parts.driver.make_run_id()
        self.note(search_events.ProbeIntended(number=act.number, rate=act.rate, run_id=run_id))
        self._say(f"probe {act.number} at {self.search.required_terms.write_rate(act.rate)} ({run_id})")
        probe = self.search.open_probe
        if probe is not None:
            self._note_answer(probe, self._parts.driver.take)

    def _note_answer(
        self, probe: rate_searches.RateProbe, play: Callable[[rate_searches.RateProbe], ProbeAnswer]
    ) -> None:
        began_at = self._parts.clock.now()
        answer = play(probe)
        match answer:
            case LostProbe():
                reason = self._parts.redactor.text(answer.reason)
                self._say(f"probe {probe.number} says nothing: {reason}")
                self.note(search_events.ProbeLost(number=probe.number, reason=reason, usd=answer.usd))
                if answer.error is not None:
                    raise answer.error
            case ProbeEnd():
                why = self._parts.redactor.text(answer.judged.why)
                rate = self.search.required_terms.write_rate(probe.rate)
                reason = f": {why}" if why else ""
                self._say(f"probe {probe.number}: {rate} {answer.judged.outcome}{reason}")
                self.note(
                    search_events.ProbeEnded(
                        number=probe.number,
                        outcome=answer.judged.outcome,
                        why=why,
                        answers=answer.judged.answers,
                        seconds=max(0.0, instants.seconds_between(began_at, self._parts.clock.now())),
                        usd=answer.usd,
                        place=answer.place,
                        sha256=answer.sha256,
                    )
                )

    def _say(self, words: str) -> None:
        self._parts.say(self._parts.redactor.text(words))
