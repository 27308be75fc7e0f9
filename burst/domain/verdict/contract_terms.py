"""Terms: the requirements that a verdict is judged by, as a value with a digest, and how those of two runs differ.

Each figure and each question of a plan that a gate is answered by is a term, and so is what is sent (`load_terms`). The
number of tasks and tuning are none: a rerun may change them freely. So is the rate, where a multiple of the baseline
keeps it from below; elsewhere a rerun may only raise it. Some terms are tuning too, as long as they get stricter
(`_TIGHTENED_FREELY`). A term that a plan leaves to its default is absent where the default
says nothing of its own, so that it never counts as a change beside the term it follows.

Once a version of the rules is released, its terms never change: their digest stands in the snapshots that it judged.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pydantic

from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names
from burst.domain.plan import drill_sections, gate_sections, observe_sections, plan_keys, plans
from burst.domain.receipts import receipts
from burst.domain.verdict import baselines, load_gates, load_terms

KIND = "kind"
"""The kind of the phase. No kind asks as much as another: each has blockers of its own."""
RULES, BASELINE = "rules", "baseline"
GRACE, BUCKET, MAX_AGE = "budget.stop_grace", "receipts.bucket", "baseline.max_age"
TIME_UNIT = "receipts.time_unit"
RATE, SOURCE, LEAST_TASKS = "load.rate", "load.source_events", "target.min_tasks"
LEAST_RATE = f"{RATE}.least"
"""The events a minute of the window, or of the step behind `@`, that a verdict stands for: no gate asks for a rate."""
LEAST_SPEED_UP = f"{RATE}.least_speed_up"
"""The same of a playback at a speed-up."""
MOST_RECORDS = load_terms.MOST_RECORDS
LEAD, STEP = "load.warmup", "load.step."
"""The seconds that are not counted before the window, and the place of each step that a limit names."""
CONTIGUITY, MAX_GAP, SHARES = "gates.contiguity", "gates.contiguity.max_gap", "gates.decision_shares."
STOP_WHEN, SERVICES, DURING, REQUIRES = "stop_when", "services", "during", "requires"
REPRODUCES = "reproduces"
_RECOVER_WITHIN, _SUSTAINED = ".recover_within", ".sustained"
"""How the keys of a drill's durations end."""
OBSERVE, EVERY, OBSERVED_SETTLE = "observe", "observe.every", "observe.settle"
INFORMATIONAL, PROMOTED = "gates.informational.", "gates.promoted."
"""How the terms begin of limits that require nothing, and of the promotions by which others do."""
_WHOLE = {LEAST_TASKS: "all", SOURCE: "unlimited", MOST_RECORDS: "unlimited"}
"""The value of a term where the plan sets no number; every number is less."""
_DURATIONS = frozenset(
    {
        *("budget.max", "budget.min_window", "budget.window", "budget.operator_cap", GRACE),
        *("receipts.settle", "receipts.max_skew", BUCKET, MAX_AGE, MAX_GAP, EVERY, OBSERVED_SETTLE),
    }
)
"""The terms in seconds."""
_FROM_PLAN = (
    *(KIND, "gates", "budget", "target", "layers", "load", "receipts"),
    *("facts", STOP_WHEN, OBSERVE, SERVICES, DURING, REQUIRES, REPRODUCES, "before", "after", "evidence"),
)
"""The first words of every term that a plan states."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Terms:
    """The terms of one run, each a JSON value by its dotted key. A term that is not required is absent.

    `unknown`: terms that nobody can tell, by key, or by the first word of a group of them.
    """

    values: Mapping[str, Any] = field(hash=False)
    unknown: tuple[str, ...] = ()

    @property
    def sha256(self) -> str:
        """The digest of the canonical bytes."""
        return canonical.digest(canonical.encode(dict(self.values)))

    def knows(self, key: str) -> bool:
        """Whether these terms say anything of a key, be it that it is not required."""
        return key in self.values or not {key, key.partition(".")[0]}.intersection(self.unknown)


def rests_on_limits(key: str) -> bool:
    """Whether this term of a load is stated because of the limits that a plan sets, and not for the load itself."""
    return key.startswith((LEAST_RATE, LEAST_SPEED_UP, STEP))


@dataclass(frozen=True, slots=True, kw_only=True)
class TermChange:
    """One term, before and after; None where it was not required."""

    key: str
    before: Any
    after: Any

    @property
    def text(self) -> str:
        """The change in words, each value as a plan writes it."""
        return f"{self.key} {_text(self.key, self.before)} -> {_text(self.key, self.after)}"


NOTHING = Terms(values={}, unknown=(RULES, BASELINE, "phase", *_FROM_PLAN))
"""The terms of which nobody can tell one."""


def from_plan(plan: plans.Plan, rules: str, baseline: baselines.Baseline | None) -> Terms:
    """The terms of a run by its plan as executed; `baseline` None: its figures are not known, or it needs none."""
    values: dict[str, Any] = {RULES: rules, **_state_plan(plan)}
    if baseline is not None:
        values[BASELINE] = _state_baseline(baseline.admits, baseline.seconds, baseline.checksum)
    needs_baseline = plan.baseline is not None and baseline is None
    return Terms(values=values, unknown=(BASELINE,) if needs_baseline else ())


def _state_plan(plan: plans.Plan) -> dict[str, Any]:
    budget, target, counted = plan.budget, plan.target, plan.receipts
    stated: dict[str, Any] = {"phase": plan.phase, KIND: plan.kind.value}
    nested = {"warn_at", "contiguity", "decision_shares", "modes", "records"}
    limits = plan.gates.model_dump(exclude_none=True, exclude=nested) | {"offered_load": plan.gates.least_offered}
    stated |= {f"gates.{name}": value for name, value in limits.items() if not plan.gates.is_informational(name)}
    stated |= _state_modes(plan.gates, limits)
    stated |= {f"{SHARES}{decision}.{limit}": share for decision, limit, share in plan.gates.share_limits}
    if plan.gates.contiguity is not None:
        longest = plan.gates.contiguity.max_gap
        stated |= {CONTIGUITY: "every bucket"} if longest is None else {MAX_GAP: longest}
    stated |= {"budget.max": budget.max, "budget.min_window": budget.min_window, GRACE: budget.stop_grace}
    if budget.window_seconds != budget.min_window:
        stated["budget.window"] = budget.window_seconds
    if budget.cap_seconds != budget.max:
        stated["budget.operator_cap"] = budget.cap_seconds
    stated[LEAST_TASKS] = _WHOLE[LEAST_TASKS] if target.min_tasks in (None, target.tasks) else target.min_tasks
    stated["layers.require"] = sorted(set(plan.layers.require))
    stated["receipts.table"] = counted.table
    stated["receipts.columns"] = counted.columns.model_dump()
    stated["receipts.decisions"] = counted.decisions or list(receipts.DECISIONS)
    if counted.time_unit is not None:
        stated[TIME_UNIT] = counted.time_unit
    stated["receipts.settle"] = counted.settle
    stated["receipts.max_skew"] = counted.max_skew
    stated[BUCKET] = counted.bucket
    stated |= dict(load_terms.state_load(plan))
    if stated.get(MOST_RECORDS, 0) is None:
        stated[MOST_RECORDS] = _WHOLE[MOST_RECORDS]
    stated[SOURCE] = _WHOLE[SOURCE] if plan.load.source_events is None else plan.load.source_events
    if load_gates.declares_rate(plan):
        stated[RATE] = "declared"  # however high: without one nobody asks whether it was offered
    elif plan.load.plays_at_speed_up:
        stated[RATE] = "recorded"
    stated |= dict(_state_least_rates(plan))
    if plan.lead_seconds:
        stated[LEAD] = plan.lead_seconds
    for step in sorted({step for _, step, _ in plan.gates.step_limits}):
        place = plan.rate_plan.find_step(step) if plan.rate_plan else None
        if place is not None:
            stated[f"{STEP}{step}"] = [float(place.start), float(place.end)]
    if plan.baseline is not None and plan.baseline.max_age is not None:
        stated[MAX_AGE] = plan.baseline.max_age
    if plan.evidence.sign is not None:
        stated["evidence.sign"] = True
    return stated | dict(_state_questions(plan))


def _state_least_rates(plan: plans.Plan) -> Iterator[tuple[str, float]]:
    """The rates at which limits have to hold that no multiple of the baseline keeps from below."""
    if plan.gates.multiplier is None or plan.gates.is_informational("multiplier"):
        playback = plan.load.playback
        if plan.mean_rate is not None:
            yield LEAST_RATE, plan.mean_rate
        elif playback is not None and playback.speed_up is not None:
            yield LEAST_SPEED_UP, playback.speed_up
    judged = {step for name, step, _ in plan.gates.step_limits if not plan.gates.is_informational(f"{name}@{step}")}
    required = {step for step in plan.step_multipliers if not plan.gates.is_informational(f"multiplier@{step}")}
    for step in sorted(judged - required):
        rate = plan.find_step_rate(step)
        if rate is not None:
            yield f"{LEAST_RATE}@{step}", rate


def _state_modes(stated: gate_sections.GatesSection, limits: Mapping[str, Any]) -> dict[str, Any]:
    """The limits that require nothing, and the promotions by which others do."""
    modes = stated.modes or {}
    informational = {name: limits[name] for name in modes if stated.is_informational(name)}
    blocks = {name: modes[name].block for name in informational if modes[name].block is not None}
    return {
        **{f"{INFORMATIONAL}{name}": limit for name, limit in informational.items()},
        **{f"{INFORMATIONAL}{name}.block": block for name, block in blocks.items()},
        **{f"{PROMOTED}{name}": digest for name, digest in stated.promoted.items()},
    }


def find_promoted(terms: Terms) -> dict[str, str]:
    """The gates that are required by a promotion, each with its digest."""
    return {key.removeprefix(PROMOTED): str(value) for key, value in terms.values.items() if key.startswith(PROMOTED)}


def _state_questions(plan: plans.Plan) -> Iterator[tuple[str, Any]]:
    """Everything that a plan asks, looks at and puts back before, in and after the burst."""
    for fact in plan.facts:
        yield f"facts.{fact.blocker}.{fact.name}", fact.model_dump(exclude={"blocker", "name"}, exclude_none=True)
    for gate, question in plan.entry_questions.items():
        statement = True if question is None else question.model_dump(exclude={"name", "until"}, exclude_none=True)
        yield f"{REQUIRES}.{gate}", statement
    if plan.observe is not None:
        yield EVERY, plan.observe.every
        yield OBSERVED_SETTLE, plan.observe.settle
    for series in plan.observed_series:
        yield f"{OBSERVE}.series.{series.name}", series.model_dump(exclude={"name", "rules"}, exclude_none=True)
        for section in series.rules:
            yield f"{OBSERVE}.series.{series.name}.{section.name}", _state_rule(section)
    if plan.reproduces is not None:
        yield f"{REPRODUCES}.reference", plan.reproduces.sha256 or plan.reproduces.snapshot
        yield f"{REPRODUCES}.keyset", plan.reproduces.keyset.model_dump(exclude_none=True)
        yield f"{REPRODUCES}.shares_within", plan.reproduces.shares_within
    for sign in plan.stop_signs:
        yield f"{STOP_WHEN}.{sign.sign}", sign.model_dump(exclude={"name"}, exclude_none=True)
    for service in plan.services:
        yield f"{SERVICES}.{service.name}", "put back"
    for drill in plan.drills:
        yield from _state_drill(drill)
    for when, shots in (("before", plan.before), ("after", plan.after)):
        for shot in shots:
            yield f"{when}.{shot.name}", {"command": shot.command, "exit_code": shot.exit_code}


def _state_drill(drill: drill_sections.DrillSection) -> Iterator[tuple[str, Any]]:
    """The fault of a drill, and what its recovery has to show."""
    key = f"{DURING}.{drill.name}"
    fault: dict[str, Any] = {"at": drill.at}
    if drill.restart is not None:
        fault["restart"] = drill.restart.service
    else:
        fault |= {"command": drill.command, "exit_code": drill.required_exit_code}
    yield key, fault
    yield f"{key}{_RECOVER_WITHIN}", drill.recover_within
    yield f"{key}{_SUSTAINED}", drill.recovered_when.sustained
    yield f"{key}.recovered_when", drill.recovered_when.model_dump(exclude={"sustained"}, exclude_none=True)


def _state_rule(section: observe_sections.ObservedRuleSection) -> dict[str, Any]:
    """A rule of a series: its blocker, aggregate and period, and its one bound."""
    rule = section.rule
    bound: dict[str, Any] = {"within": rule.near.text} if rule.near else {}
    if rule.limit is not None:
        bound = {rule.limit.comparison.value: rule.limit.required}
    return {"blocker": section.blocker, "aggregate": rule.aggregate.value, "over": rule.period.text, **bound}


def _state_baseline(admits: int, seconds: float, checksum: str | None) -> dict[str, Any]:
    return {"admits": admits, "seconds": seconds, **({"checksum": checksum} if checksum else {})}


@dataclass(frozen=True, slots=True, kw_only=True)
class PriorContract:
    """The terms that a rerun is held to, and how they came about along the chain of its priors."""

    terms: Terms
    changes: tuple[plan_keys.ChangeSection, ...] = ()
    """The changes that the reruns before named, the first one first."""
    unstated: tuple[str, ...] = ()
    """Terms that one of those priors did not state."""


def from_snapshot(snapshot: Mapping[str, Any], plan: plans.Plan | None) -> PriorContract:
    """The contract of a prior by its snapshot: as stated there, else by its plan where that is here, else by its
    figures.

    Raises `errors.EvidenceCorrupt` where the snapshot's contract is none, or missing though its rules have one.
    """
    contract = snapshot.get("contract")
    return _read_contract(contract) if contract is not None else PriorContract(terms=_infer(snapshot, plan))


def _infer(snapshot: Mapping[str, Any], plan: plans.Plan | None) -> Terms:
    """The terms of a snapshot without a contract."""
    if RULES in snapshot:
        raise errors.EvidenceCorrupt("the prior snapshot states its rules and no contract")
    extract = snapshot.get("baseline_extract")
    admits, seconds = (_number(_at(extract, name)) for name in ("admits", "seconds"))
    checksum = _at(extract, "checksum")
    stated = {} if plan is None else _state_plan(plan)
    if admits is not None and seconds is not None:
        stated[BASELINE] = _state_baseline(int(admits), seconds, checksum if isinstance(checksum, str) else None)
    if plan is None:
        stated |= _read_figures(snapshot)
        return Terms(values=stated, unknown=NOTHING.unknown)
    return Terms(values=stated, unknown=(RULES, *((BASELINE,) if plan.baseline is not None else ())))


def _read_contract(contract: Any) -> PriorContract:
    """The terms that a rerun of this contract is held to: its own, or those that it was held to and did not keep."""
    own, held_to = _read_terms(contract), _at(contract, "held_to")
    changes, unstated = _at(contract, "changes") or [], _at(contract, "unstated") or []
    if not isinstance(changes, list) or not _are_texts(unstated):
        raise errors.EvidenceCorrupt("the prior snapshot's contract has no lists of changes and unstated terms")
    try:
        named = tuple(plan_keys.ChangeSection.model_validate(change) for change in changes)
    except pydantic.ValidationError as exc:
        raise errors.EvidenceCorrupt("the prior snapshot's contract names a change that is none") from exc
    terms = own if held_to is None else _read_terms(held_to)
    return PriorContract(terms=terms, changes=named, unstated=tuple(unstated))


def _read_terms(value: Any) -> Terms:
    values, unknown = _at(value, "terms"), _at(value, "unknown") or []
    if not isinstance(values, Mapping) or not _are_texts(unknown) or not (values or unknown):
        raise errors.EvidenceCorrupt("the prior snapshot's contract has no terms")
    terms = Terms(values=values, unknown=tuple(unknown))
    if terms.sha256 != _at(value, "sha256"):
        raise errors.EvidenceCorrupt("the prior snapshot's contract is not the one its digest names")
    return terms


def _are_texts(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(text, str) for text in value)


def _read_figures(snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """The terms that a snapshot without a contract states among its figures."""
    checks, target, budget = (snapshot.get(name) for name in ("burst_load_checks", "burst_target", "runtime_budget"))
    minutes = _number(_at(target, "duration_minutes"))
    cap, most = (_number(_at(budget, name)) for name in ("operator_cap_seconds", "budget_seconds"))
    figures: dict[str, Any] = {
        "phase": snapshot.get("phase"),
        "gates.multiplier": _number(_at(target, "ingest_multiplier")),
        "gates.admit_ratio": _number(_at(target, "min_successful_admit_ratio")),
        "budget.min_window": None if minutes is None else round(minutes * 60, 6),
        "budget.max": most,
        "budget.operator_cap": None if cap == most else cap,
    }
    thresholds = {"gates.multiplier": "achieved_multiplier", "budget.min_window": "duration_seconds"}
    figures |= {
        key: threshold
        for key, name in thresholds.items()
        if (threshold := _number(_at(_at(checks, name), "threshold"))) is not None
    }
    return {key: value for key, value in figures.items() if value is not None}


def _at(value: Any, key: str) -> Any:
    return value.get(key) if isinstance(value, Mapping) else None


def _number(value: Any) -> float | None:
    return value if isinstance(value, int | float) and not isinstance(value, bool) else None


def read_plan(content: bytes) -> plans.Plan | None:
    """The plan of a prior run; None where this version cannot read it."""
    try:
        return plans.parse(content.decode(), source=document_names.PRIOR_PLAN)
    except (UnicodeDecodeError, plans.PlanError):
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class TermsComparison:
    """How the terms of a rerun stand to those of its prior."""

    named: tuple[plan_keys.ChangeSection, ...]
    """The changes that the plan names, and that are so."""
    unnamed: tuple[TermChange, ...]
    """The changes that it does not name."""
    idle: tuple[plan_keys.ChangeSection, ...]
    """What it names, and is not so."""
    unstated: tuple[str, ...]
    """The terms of the rerun that the prior does not state."""
    unknown: tuple[str, ...]
    """The terms of the prior that nobody can tell of the rerun."""


def compare(terms: Terms, prior: Terms, changes: Sequence[plan_keys.ChangeSection]) -> TermsComparison:
    """The differences between two runs' terms, those that the plan names set apart."""
    keys = sorted({*terms.values, *prior.values})
    known_keys = [key for key in keys if terms.knows(key) and prior.knows(key)]
    differing = list(_list_differing(known_keys, terms, prior))
    named = [change for change in changes if any(_names(change, differs) for differs in differing)]
    return TermsComparison(
        named=tuple(named),
        unnamed=tuple(
            differs
            for differs in differing
            if not _is_tuning(differs) and not any(_names(change, differs) for change in changes)
        ),
        idle=tuple(change for change in changes if change not in named),
        unstated=tuple(key for key in keys if not prior.knows(key)),
        unknown=tuple(key for key in keys if prior.knows(key) and not terms.knows(key)),
    )


def _list_differing(keys: Sequence[str], terms: Terms, prior: Terms) -> Iterator[TermChange]:
    for key in keys:
        before, after = prior.values.get(key), terms.values.get(key)
        if not _same(before, after):
            yield TermChange(key=key, before=before, after=after)


_AT_LEAST = frozenset(
    {
        *("gates.multiplier", "gates.multiplier_lower", "gates.admit_ratio", "gates.offered_load"),
        *("gates.min_admits", "gates.expect_duplicates", LEAST_RATE, LEAST_SPEED_UP),
        *("budget.min_window", "budget.window", "receipts.settle"),
    }
)
"""The terms of which less is weaker."""
_AT_MOST = frozenset(
    {
        *("budget.max", "budget.operator_cap", GRACE, "receipts.max_skew", BUCKET, MAX_AGE, MAX_GAP),
        *(EVERY, OBSERVED_SETTLE, f"{REPRODUCES}.shares_within"),
        *(f"gates.{name}" for name in load_gates.ANSWER_GATES),
    }
)
"""The terms of which more, or no limit at all, is weaker."""
_NO_STRENGTH = frozenset({RULES, "phase"})
"""The terms that are neither weaker nor stronger than others."""
_TIGHTENED_FREELY = (
    *(GRACE, BUCKET, MAX_AGE, RATE, SOURCE, MOST_RECORDS, f"{STOP_WHEN}.", f"{SERVICES}.", f"{REQUIRES}."),
    *(INFORMATIONAL, PROMOTED),
)
"""The terms that are tuning too: a rerun that makes them stricter, or adds one, need not name it."""


def _is_tuning(change: TermChange) -> bool:
    return change.key.startswith(_TIGHTENED_FREELY) and not _is_weaker(change)


def list_weaker(terms: Terms, before: Terms) -> tuple[TermChange, ...]:
    """The terms that ask less than before, and those of which nobody can say that they ask as much: another baseline,
    another question. Terms that one of the two does not state are passed over."""
    known_keys = [key for key in sorted({*terms.values, *before.values}) if terms.knows(key) and before.knows(key)]
    return tuple(change for change in _list_differing(known_keys, terms, before) if _is_weaker(change))


def _is_weaker(change: TermChange) -> bool:
    before, after = change.before, change.after
    numbers = _number(before), _number(after)
    if change.key.startswith(INFORMATIONAL):
        return False  # it requires nothing, and a limit that becomes one is a required limit no more
    if change.key in _NO_STRENGTH or before is None:
        return change.key in (BASELINE, TIME_UNIT) or load_terms.is_other_load(change.key)
    if after is None:
        return True
    if change.key in _WHOLE:
        whole = _WHOLE[change.key]
        return bool(after != whole and (before == whole or after < before))
    if change.key == "layers.require":
        return not set(before) <= set(after)
    if change.key.startswith(f"{STOP_WHEN}."):
        return not _asks_more(after, before)  # a sign that is easier to reach stops more runs
    if change.key.startswith(f"{DURING}.") and None not in numbers:
        longer, more = after > before, change.key.endswith(_RECOVER_WITHIN)
        return bool(longer if more else not longer)
    if None in numbers:
        return not _asks_more(before, after)
    key = change.key.partition("@")[0]  # a limit of a step is as strict as that of the whole burst
    if key in _AT_LEAST or (change.key.startswith(SHARES) and change.key.endswith(".at_least")):
        return bool(after < before)
    return bool(after > before) if key in _AT_MOST or change.key.startswith(SHARES) else True


def asks_as_much(before: Any, after: Any) -> bool:
    """Whether a question of another plan is the same one, with the same or a narrower limit, whatever its blocker."""
    was, now = ({**value, "blocker": None} if isinstance(value, Mapping) else value for value in (before, after))
    return _same(was, now) or _asks_more(was, now)


def _asks_more(before: Any, after: Any) -> bool:
    """Whether a fact is the same question with a narrower limit."""
    if not isinstance(before, Mapping) or not isinstance(after, Mapping) or before.keys() != after.keys():
        return False
    differing = [key for key in before if not _same(before[key], after[key])]
    limits = [(key, _number(before[key]), _number(after[key])) for key in differing]
    return all(
        was is not None and now is not None and (now < was if key == "at_most" else key == "at_least" and now > was)
        for key, was, now in limits
    )


def _names(change: plan_keys.ChangeSection, differs: TermChange) -> bool:
    """Whether a plan names exactly this change."""
    key, expected = differs.key, ((change.from_, differs.before), (change.to, differs.after))
    return change.key == key and all(_same(_read_value(key, named), value) for named, value in expected)


def _is_duration(key: str) -> bool:
    """Whether a term is in seconds."""
    return key in _DURATIONS or (key.startswith(f"{DURING}.") and key.endswith((_RECOVER_WITHIN, _SUSTAINED)))


def _read_value(key: str, named: Any) -> Any:
    """A value as a plan names it; durations may be written as plans write them."""
    if _is_duration(key) and isinstance(named, str):
        try:
            return instants.parse_duration(named)
        except ValueError:
            return named
    return named


def _same(first: Any, second: Any) -> bool:
    try:
        return canonical.encode(first) == canonical.encode(second)
    except ValueError:
        return False


def list_changed(terms: Terms, changes: Sequence[plan_keys.ChangeSection]) -> tuple[str, ...]:
    """The keys whose terms are not what they were before the first of these changes."""
    first: dict[str, Any] = {}
    for change in changes:
        first.setdefault(change.key, _read_value(change.key, change.from_))
    return tuple(key for key, value in first.items() if not _same(value, terms.values.get(key)))


def _text(key: str, value: Any) -> str:
    if value is None:
        return "none"
    if _is_duration(key) and isinstance(value, int | float) and not isinstance(value, bool):
        return instants.duration_text(value)
    return canonical.encode(value).decode()


def explain_change(change: plan_keys.ChangeSection) -> str:
    """A named change in words, with its reason."""
    values = (_text(change.key, _read_value(change.key, value)) for value in (change.from_, change.to))
    return f"{change.key} {' -> '.join(values)} ({change.why})"


def list_moved(plan: plans.Plan, prior: plans.Plan) -> Iterator[TermChange]:
    """The plan keys among a rerun's non-goals that its plan gives another value than the prior's plan."""
    ours, theirs = plan.document(), prior.document()
    for key in plan.rerun.guarded_keys if plan.rerun else ():
        before, after = (_find(value, key) for value in (theirs, ours))
        if not _same(before, after):
            yield TermChange(key=key, before=before, after=after)


def _find(value: Any, key: str) -> Any:
    for step in key.split("."):
        value = _at(value, step)
    return value
