"""Observing: the samples of a run's series, from before GO until after its last task has stopped.

Each series is asked on a thread of its own, so that no slow answer holds up a beat or the stop. Only the loop
journals: a sample stands in the journal as soon as the loop takes it, so that a controller that continues the run has
every earlier one and goes on. A question without an answer is journalled as a sample without a value.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from burst import ports
from burst.control import pausing, probes, questions_aside, recorder
from burst.domain.basics import errors, instants, redaction
from burst.domain.observations import answers, samples
from burst.domain.plan import observe_sections, plans
from burst.domain.run.events import watch_events
from burst.kit import side_by_side

FIRST_SECONDS = 60.0
"""How long GO waits for the first sample of each series; without one the series proves nothing of the whole burst."""
RETRY_PARTS = 4
"""A question without an answer is asked again after this part of its period, so that no sample need be missing."""
SHORTEST_RETRY_SECONDS = 0.5
TERMINAL_RETRY_SECONDS = 5.0
"""No longer than this after a terminal sample that would not do the next one is asked."""
PATIENCE_SECONDS = 0.25
"""How long a look waits for the answers that it has just asked for."""
SHORTEST_TERMINAL_SECONDS = 5.0
LONGEST_TERMINAL_SECONDS = 60.0
"""Terminal samples are asked for during two periods, once they are due, within these bounds."""
NEVER_ANSWERED = "no answer until the samples were no longer waited for"
MUST_NOT_BE_SHOWN = "the series answered text that must not be shown"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Taken:
    """One asking of a series, from its thread."""

    asked_at: datetime
    answered_at: datetime
    answer: answers.Answer | None
    problem: str = ""

    @property
    def took_seconds(self) -> float:
        """How long the answer took."""
        return instants.seconds_between(self.asked_at, self.answered_at)


def ask_once(probe: ports.Probe, clock: ports.Clock, seconds: float) -> _Taken:
    """Asks a series once, for so many seconds at most; an error becomes its problem."""
    asked_at = clock.now()
    answer, problem = None, ""
    try:
        answer = probe.ask(give_up_at=instants.later(asked_at, seconds))
    except errors.BurstError as exc:
        problem = str(exc)
    return _Taken(asked_at=asked_at, answered_at=clock.now(), answer=answer, problem=problem)


def try_each(
    plan: plans.Plan, series_probes: probes.Probes, clock: ports.Clock, redactor: redaction.Redactor
) -> dict[str, samples.Sample]:
    """One sample of each series that has a probe, all asked side by side; as the first one of a run would be.

    A series whose answer took its period or longer is asked once more, and the quicker answer counts: the first one may
    have waited for what it opened, or for everything else that was asked just then.
    """
    observe = plan.observe
    if observe is None:
        return {}

    def ask(name: str) -> _Taken:
        first = ask_once(series_probes[name], clock, observe.answer_seconds)
        if first.answer is None or first.took_seconds < observe.every:
            return first
        second = ask_once(series_probes[name], clock, observe.answer_seconds)
        return first if second.answer is None else min(first, second, key=lambda taken: taken.took_seconds)

    names = [series.name for series in plan.observed_series if series.name in series_probes]
    outcomes = side_by_side.call_all(ask, names, threads=max(1, len(names)))
    return {
        outcome.item: _make_sample(_hide_text(outcome.result, redactor))
        for outcome in outcomes
        if outcome.result is not None
    }


def _make_sample(taken: _Taken) -> samples.Sample:
    """A sample with the number of a first one: where there were others, the journal counts them."""
    answer = taken.answer
    return samples.Sample(
        number=1,
        asked_at=taken.asked_at,
        answered_at=taken.answered_at,
        of=answer.of if answer else None,
        value=answer.value if answer else None,
        scope=answer.scope if answer else None,
        detail=answer.detail if answer else taken.problem,
    )


def _hide_text(taken: _Taken, redactor: redaction.Redactor) -> _Taken:
    """The sample without its answer, where the text of that must not be shown as it is: no other text was given."""
    answer = taken.answer
    texts = [text for text in (answer.value, answer.scope) if isinstance(text, str)] if answer else []
    if any(redactor.text(text, statement=True) != text for text in texts):
        return replace(taken, answer=None, problem=MUST_NOT_BE_SHOWN)
    return taken


class _Sampler:
    """The asking of one series."""

    def __init__(
        self,
        series: observe_sections.SeriesSection,
        observe: observe_sections.ObserveSection,
        probe: ports.Probe,
        clock: ports.Clock,
    ) -> None:
        self.name = series.name
        self._every_seconds = observe.every
        self._clock = clock
        self._question = questions_aside.Question(lambda: ask_once(probe, clock, observe.answer_seconds), 0.0)
        self._begun_at: datetime | None = None

    def begin(self, now: datetime) -> bool:
        """Asks where nobody is asking; whether it did."""
        if self._begun_at is not None or not self._question.begin(now):
            return False
        self._begun_at = now
        return True

    def find_due(self, earlier: Sequence[samples.Sample]) -> datetime | None:
        """When the next sample is due: a period after the last one, or sooner where that had no value; None: now."""
        if not earlier:
            return None
        last = earlier[-1]
        return instants.later(last.asked_at, self.retry_seconds if last.value is None else self._every_seconds)

    @property
    def retry_seconds(self) -> float:
        """The time after which a question without an answer is asked again."""
        return min(self._every_seconds, max(SHORTEST_RETRY_SECONDS, self._every_seconds / RETRY_PARTS))

    def take(self, seconds: float) -> _Taken | None:
        """The answer that has come, waited for so long; None while there is none."""
        begun_at = self._begun_at
        if begun_at is None:
            return None
        outcome = self._question.take(seconds)
        if outcome is None:
            return None
        self._begun_at = None
        if outcome.answer is not None:
            return outcome.answer
        return _Taken(
            asked_at=begun_at, answered_at=self._clock.now(), answer=None, problem=str(outcome.failure or "no answer")
        )

    def give_up(self) -> _Taken | None:
        """The question that is under way, as one without an answer; None where there is none."""
        begun_at, self._begun_at = self._begun_at, None
        if begun_at is None:
            return None
        return _Taken(asked_at=begun_at, answered_at=self._clock.now(), answer=None, problem=NEVER_ANSWERED)


class Observing:
    """The samples of one run. Without probes it takes none."""

    def __init__(
        self, *, plan: plans.Plan, record: recorder.Recorder, series_probes: probes.Probes, clock: ports.Clock
    ) -> None:
        self._record = record
        self._clock = clock
        self._settle_seconds = plan.observe.settle if plan.observe else 0.0
        periods_seconds = 2 * plan.observe.every if plan.observe else 0.0
        self._terminal_seconds = min(LONGEST_TERMINAL_SECONDS, max(SHORTEST_TERMINAL_SECONDS, periods_seconds))
        self._samplers = [
            _Sampler(series, plan.observe, series_probes[series.name], clock)
            for series in plan.observed_series
            if plan.observe is not None and series.name in series_probes
        ]
        self._first_due_at: datetime | None = None

    def look(self) -> None:
        """Journals the samples that have come, and asks every series that is due; nothing once the run is measured.

        Once the last task has stopped no more than the terminal samples are taken: whatever follows, such as services
        that are put back, is no part of the burst.
        """
        run = self._record.run
        if not (run.measured or run.published):
            self._ask_due(self._clock.now())

    def _ask_due(self, now: datetime) -> None:
        """Journals what has come and begins what is due. Most answers come at once, and are then journalled at once."""
        for sampler in self._samplers:
            self._note_taken(sampler, 0.0)
        begun = [sampler for sampler in self._samplers if self._is_due(sampler, now) and sampler.begin(now)]
        patient_until = time.monotonic() + PATIENCE_SECONDS
        for sampler in begun:
            self._note_taken(sampler, max(0.0, patient_until - time.monotonic()))

    def _find_samples(self, name: str) -> Sequence[samples.Sample]:
        return self._record.run.observed.get(name, ())

    def awaits_first(self) -> bool:
        """Whether GO has to wait for the first sample of a series, which is on its way."""
        now = self._clock.now()
        self._first_due_at = self._first_due_at or instants.later(now, FIRST_SECONDS)
        lacking = [
            sampler
            for sampler in self._samplers
            if all(sample.value is None for sample in self._find_samples(sampler.name))
        ]
        return bool(lacking) and now < self._first_due_at

    def finish(self, attend: Callable[[], bool]) -> None:
        """Takes the terminal samples that are still missing, where the burst had an end.

        `attend` keeps the run alive meanwhile, and says whether to go on. Returns after a while without them too.
        """
        ended_at = self._find_end()
        if ended_at is None:
            return
        due_at = instants.later(ended_at, self._settle_seconds)
        give_up_at = instants.later(max(due_at, self._clock.now()), self._terminal_seconds)
        while not all(self._has_terminal(sampler.name, ended_at) for sampler in self._samplers):
            if self._clock.now() >= give_up_at or not attend():
                break
            self._ask_due(self._clock.now())
            pausing.until_next_look(self._clock, None)
        for sampler in self._samplers:
            given_up = sampler.give_up()
            if given_up is not None:
                self._note(sampler.name, given_up)

    def _find_end(self) -> datetime | None:
        """When the last task has stopped; None while one may run, and where the burst has no window."""
        run = self._record.run
        return run.attempt_window.end if run.ended and run.attempt_window is not None else None

    def _is_due(self, sampler: _Sampler, now: datetime) -> bool:
        """Whether a series is to be asked: every period; from the end of the burst on once the system has settled, and
        again soon until a terminal sample has come."""
        taken, ended_at = self._find_samples(sampler.name), self._find_end()
        if ended_at is None or now < instants.later(ended_at, self._settle_seconds):
            due_at = sampler.find_due(taken)
            return due_at is None or now >= due_at
        if self._has_terminal(sampler.name, ended_at):
            return False
        return not taken or now >= instants.later(
            taken[-1].answered_at, min(sampler.retry_seconds, TERMINAL_RETRY_SECONDS)
        )

    def _has_terminal(self, name: str, ended_at: datetime) -> bool:
        """Whether a series has a terminal sample: one that speaks of an instant at or after the end of the burst, and
        was asked once the system had its time to settle."""
        due_at = instants.later(ended_at, self._settle_seconds)
        return any(
            sample.value is not None and sample.asked_at >= due_at and sample.instant >= ended_at
            for sample in self._find_samples(name)
        )

    def _note_taken(self, sampler: _Sampler, seconds: float) -> None:
        taken = sampler.take(seconds)
        if taken is not None:
            self._note(sampler.name, taken)

    def _note(self, name: str, taken: _Taken) -> None:
        sample = _make_sample(_hide_text(taken, self._record.redactor))
        self._record.note(watch_events.SampleTaken.from_sample(name, sample))
