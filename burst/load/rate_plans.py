"""Rate plans: steps of rates on one clock from GO, with the exact number of events that each makes due.

The whole burst has one sequence of events: event k is due at the instant at which the rates have added up to k. A shard
has every event whose number, divided by the number of shards, leaves the shard's index. So the shares of all shards add
up to the whole in each step, for any number of shards, and a stall moves no instant: it follows from k alone. All sums
are fractions; only the instants are floats, and inside a sine its sums.
"""

import bisect
import json
import math
import random
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

STEP, LINEAR, SINE, SPIKE = "step", "linear", "sine", "spike"
SHAPES = (STEP, LINEAR, SINE, SPIKE)
"""step holds its rate; linear goes straight from `rate` to `to`; sine swings from `rate` to `to` and back, once; spike
goes straight to `to` and straight back."""
MOST_STEPS = 50
_ROOT_STEPS = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class RateStep:
    """One step of a plan. `rate` and `to` are events a second; `count`: whether it lies in the counted window."""

    name: str
    seconds: Fraction
    rate: Fraction
    to: Fraction
    shape: str = STEP
    count: bool = True

    def __post_init__(self) -> None:
        if self.shape not in SHAPES or self.seconds <= 0 or min(self.rate, self.to) < 0:
            raise ValueError(f"{self.name}: a step lasts over 0 s, at rates of at least 0, as one of {SHAPES}")

    @property
    def events(self) -> Fraction:
        """What the rates of the whole step add up to."""
        return self.rate * self.seconds if self.shape == STEP else (self.rate + self.to) / 2 * self.seconds

    @property
    def highest(self) -> Fraction:
        """The highest rate of the step."""
        return self.rate if self.shape == STEP else max(self.rate, self.to)

    @property
    def curve(self) -> "RateCurve":
        """Its rate over time in floats; made once for many events."""
        return RateCurve(
            rate=float(self.rate),
            rise=float(self.to - self.rate),
            length=float(self.seconds),
            events=float(self.events),
            shape=self.shape,
        )

    def sum_until(self, seconds: Fraction) -> Fraction:
        """What the rates of the first seconds of the step add up to."""
        if seconds >= self.seconds:
            return self.events
        rise = self.to - self.rate
        if self.shape == LINEAR:
            return self.rate * seconds + rise * seconds**2 / (2 * self.seconds)
        if self.shape == SPIKE:
            half = self.seconds / 2
            if seconds > half:
                return self.events - self.sum_until(self.seconds - seconds)
            return self.rate * seconds + rise * seconds**2 / (2 * half)
        if self.shape == SINE:
            return Fraction(self.curve.sum_sine(float(seconds)))
        return self.rate * seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class RateCurve:
    """The rate of a step over its time: from `rate` by `rise`, in `length` seconds, `events` in all."""

    rate: float
    rise: float
    length: float
    events: float
    shape: str

    def find_rate(self, seconds: float) -> float:
        """The rate so many seconds after the beginning of the step."""
        rate, rise, part = self.rate, self.rise, seconds / self.length
        if self.shape == LINEAR:
            return rate + rise * part
        if self.shape == SPIKE:
            return rate + rise * (1 - abs(2 * part - 1))
        return rate + rise * (1 - math.cos(2 * math.pi * part)) / 2 if self.shape == SINE else rate

    def find_instant(self, events: float) -> float:
        """After how many seconds the rates of the step have added up to so many events."""
        rate, rise, length = self.rate, self.rise, self.length
        if self.shape == LINEAR:
            return _solve_ramp(rate, rise / length, events)
        if self.shape == SPIKE:
            if events <= self.events / 2:
                return _solve_ramp(rate, 2 * rise / length, events)
            return length - _solve_ramp(rate, 2 * rise / length, self.events - events)
        return self._solve_sine(events) if self.shape == SINE else events / rate

    def sum_sine(self, seconds: float) -> float:
        """What the rates of the first seconds of a sine add up to."""
        swing = self.length / (2 * math.pi) * math.sin(2 * math.pi * seconds / self.length)
        return self.rate * seconds + self.rise / 2 * (seconds - swing)

    def _solve_sine(self, events: float) -> float:
        """By Newton's method, held between two bounds that close in: the sum never falls."""
        low, high = 0.0, self.length
        seconds = high * events / self.events
        for _ in range(_ROOT_STEPS):
            excess = self.sum_sine(seconds) - events
            low, high = (low, seconds) if excess > 0 else (seconds, high)
            slope = self.find_rate(seconds)
            nearer = seconds - excess / slope if slope > 0 else math.inf
            nearer = nearer if low < nearer < high else (low + high) / 2
            if abs(nearer - seconds) <= 1e-9:
                return nearer
            seconds = nearer
        return seconds


def _solve_ramp(rate: float, rise_per_second: float, events: float) -> float:
    """The seconds after which a rate that changes evenly has added up to so many events; stable for any rise."""
    root = math.sqrt(max(0.0, rate * rate + 2 * rise_per_second * events))
    return 2 * events / (rate + root) if rate + root > 0 else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrival:
    """One event of a schedule: the seconds after GO at which it is due, and the step that it belongs to."""

    seconds: float
    step: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedStep:
    """A step with its place: when it begins and ends, in seconds after GO, and what has added up until then."""

    step: RateStep
    start: Fraction
    end: Fraction
    before: Fraction
    after: Fraction

    @property
    def events(self) -> int:
        """How many events of the whole burst are due in it."""
        return math.ceil(self.after) - math.ceil(self.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class RatePlan:
    """Steps in their order, the first one from GO on."""

    steps: tuple[RateStep, ...]

    @property
    def placed(self) -> tuple[PlacedStep, ...]:
        """Every step with its place."""
        places, start, before = [], Fraction(0), Fraction(0)
        for step in self.steps:
            end, after = start + step.seconds, before + step.events
            places.append(PlacedStep(step=step, start=start, end=end, before=before, after=after))
            start, before = end, after
        return tuple(places)

    @property
    def seconds(self) -> Fraction:
        """From GO to the end of the last step."""
        return sum((step.seconds for step in self.steps), Fraction(0))

    @property
    def events(self) -> int:
        """How many events are due in all."""
        return math.ceil(sum((step.events for step in self.steps), Fraction(0)))

    @property
    def highest(self) -> float:
        """The highest rate, in events a second."""
        return float(max(step.highest for step in self.steps))

    @property
    def counted(self) -> tuple[Fraction, Fraction]:
        """The counted window, half-open: its first and its last instant in seconds after GO."""
        counted = [place for place in self.placed if place.step.count]
        return (counted[0].start, counted[-1].end) if counted else (Fraction(0), Fraction(0))

    def find_step(self, name: str) -> PlacedStep | None:
        """The step of a name, with its place."""
        return next((place for place in self.placed if place.step.name == name), None)

    def sum_until(self, seconds: float | Fraction) -> Fraction:
        """What the rates add up to so many seconds after GO."""
        until, total = Fraction(seconds), Fraction(0)
        for place in self.placed:
            if until <= place.start:
                break
            total = place.before + place.step.sum_until(min(until, place.end) - place.start)
        return total

    def count_due(self, since: float | Fraction, until: float | Fraction) -> int:
        """How many events of the whole burst are due from one instant to before another, in seconds after GO."""
        return max(0, math.ceil(self.sum_until(until)) - math.ceil(self.sum_until(since)))

    def list_arrivals(self, shard_index: int, shard_count: int) -> Iterator[Arrival]:
        """The events of one shard, in order."""
        for place in self.placed:
            clock = _StepClock(place)
            first = math.ceil(place.before)
            number = first + (shard_index - first) % shard_count
            ahead, end = float(first - place.before), math.ceil(place.after)
            while number < end:
                yield clock.place_arrival(number - first + ahead)
                number += shard_count

    def list_random_arrivals(self, shard_count: int, pauses: random.Random) -> Iterator[Arrival]:
        """The events of one shard with random pauses (a Poisson process of its share of the rates), in order."""
        position = 0.0
        clocks = iter([_StepClock(place) for place in self.placed])
        clock = next(clocks, None)
        while clock is not None:
            position += pauses.expovariate(1 / shard_count)
            while clock is not None and position >= clock.after:
                clock = next(clocks, None)
            if clock is not None:
                yield clock.place_arrival(position - clock.before)


class _StepClock:
    """Places the events of one step in time."""

    def __init__(self, place: PlacedStep) -> None:
        self.before, self.after = float(place.before), float(place.after)
        self._start, self._name, self._curve = float(place.start), place.step.name, place.step.curve
        self._last = math.nextafter(float(place.end), self._start)

    def place_arrival(self, events: float) -> Arrival:
        """The event at which the rates of the step have added up to so much."""
        seconds = self._start + self._curve.find_instant(max(0.0, events))
        return Arrival(seconds=min(seconds, self._last), step=self._name)


class StepFinder:
    """Names the step in which an instant lies. A load program asks it for every answer, so it is made once."""

    def __init__(self, plan: RatePlan) -> None:
        places = plan.placed
        self._starts = [float(place.start) for place in places]
        self._names = [place.step.name for place in places]
        self._end = float(plan.seconds)

    def name_step(self, seconds: float) -> str | None:
        """The name of the step so many seconds after GO; None outside of all."""
        if not 0 <= seconds < self._end:
            return None
        return self._names[bisect.bisect_right(self._starts, seconds) - 1]


# As text in the environment of a task


def write_plan(plan: RatePlan) -> str:
    """A plan as a task reads it: a list of steps, their rates in events a minute, as everywhere in a plan."""
    return json.dumps([_write_step(step) for step in plan.steps], separators=(",", ":"))


def _write_step(step: RateStep) -> dict[str, Any]:
    value: dict[str, Any] = {"name": step.name, "for": str(step.seconds), "rate": str(step.rate * 60)}
    if step.shape != STEP:
        value |= {"to": str(step.to * 60), "shape": step.shape}
    return value if step.count else value | {"count": False}


def read_plan(text: str) -> RatePlan:
    """A plan from its text. Raises ValueError for one that makes no sense."""
    value = json.loads(text)
    if not isinstance(value, list) or not 0 < len(value) <= MOST_STEPS:
        raise ValueError(f"a list of 1 to {MOST_STEPS} steps")
    return RatePlan(steps=tuple(_read_step(entry) for entry in value))


def _read_step(value: Any) -> RateStep:
    if not isinstance(value, Mapping) or not {"name", "for", "rate"} <= value.keys():
        raise ValueError("a step has name, for and rate")
    rate = Fraction(str(value["rate"])) / 60
    return RateStep(
        name=str(value["name"]),
        seconds=Fraction(str(value["for"])),
        rate=rate,
        to=Fraction(str(value["to"])) / 60 if "to" in value else rate,
        shape=str(value.get("shape", STEP)),
        count=value.get("count", True) is True,
    )


# Profiles by name

RAMP_FROM = Fraction(1, 10)
_STAIRS = 4
NAMED = ("ramp", "step", "spike", "soak", "sine")
"""The profiles that are rate plans of their own, made of one rate and the length of the window."""


def make_named(profile: str, rate: Fraction, seconds: Fraction) -> tuple[RateStep, ...]:
    """The steps of a profile by name, whose highest rate is `rate`.

    ramp rises straight from a tenth; step rises by quarters; spike holds a third, goes to the whole and back, and holds
    a third again, in three equal parts; soak holds the rate; sine swings from the half to the whole and back.
    """
    third, low = seconds / 3, rate / 3
    match profile:
        case "ramp":
            return (RateStep(name="ramp", seconds=seconds, rate=rate * RAMP_FROM, to=rate, shape=LINEAR),)
        case "step":
            stairs = range(1, _STAIRS + 1)
            return tuple(_hold(f"step-{index}", seconds / _STAIRS, rate * index / _STAIRS) for index in stairs)
        case "spike":
            peak = RateStep(name="spike", seconds=third, rate=low, to=rate, shape=SPIKE)
            return (_hold("before", third, low), peak, _hold("after", third, low))
        case "sine":
            return (RateStep(name="sine", seconds=seconds, rate=rate / 2, to=rate, shape=SINE),)
    return (_hold("soak", seconds, rate),)


def _hold(name: str, seconds: Fraction, rate: Fraction) -> RateStep:
    return RateStep(name=name, seconds=seconds, rate=rate, to=rate)


def prepend_warmup(steps: Iterable[RateStep], seconds: Fraction) -> tuple[RateStep, ...]:
    """The steps behind a warm-up at the first rate of them, which is sent and not counted."""
    following = tuple(steps)
    warmup = RateStep(name=WARMUP, seconds=seconds, rate=following[0].rate, to=following[0].rate, count=False)
    return (warmup, *following)


WARMUP = "warmup"
