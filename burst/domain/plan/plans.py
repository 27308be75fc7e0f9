"""Plans: an operator's request as a whole, parsed strictly, every mistake named by file, line and key.

A plan is YAML (or JSON, which is YAML). It is composed to nodes first, so that a message can name the line, then
validated as a whole, so that one reading shows every mistake. Unknown keys, anchors, placeholders and literal
secrets are refused: each of them has launched a burst that could prove nothing.

`plan_keys` has the keys, the modules of sections what stands below each, `planned_loads` the load over its length,
`field_types` the types of the values, `yaml_lines` the lines of a text, `plan_problems` the words of a mistake.
"""

from dataclasses import replace
from typing import Any, Self

import pydantic
import yaml

from burst.domain.basics import errors, instants
from burst.domain.plan import (
    catalogues,
    drill_sections,
    field_types,
    gate_names,
    plan_problems,
    planned_loads,
    rate_sections,
    yaml_lines,
)
from burst.domain.tasks import launch_rates

PlanError = yaml_lines.PlanError
MOST_BUCKETS = 20_000


class Plan(planned_loads.PlannedLoad):
    """A whole plan, valid by construction. `execution_id` is set once the plan is resolved for a run."""

    @pydantic.model_validator(mode="before")
    @classmethod
    def _derive_start_timeout(cls, value: Any) -> Any:
        """Adds the default of `budget.start_timeout`, which follows from the number of tasks on ECS."""
        match value:
            case {"target": {"kind": "ecs", "tasks": int(count)}, "budget": dict(budget)} if count > 0:
                usual = instants.write_duration(launch_rates.usual_start_seconds(count))
                return value | {"budget": {"start_timeout": usual} | budget}
        return value

    @pydantic.model_validator(mode="before")
    @classmethod
    def _derive_window(cls, value: Any) -> Any:
        """Adds the default of `budget.window`, which the counted steps of `load.rate` are."""
        budget = rate_sections.derive_window(value) if isinstance(value, dict) else None
        return value if budget is None else value | {"budget": budget}

    @pydantic.model_validator(mode="after")
    def _coherent(self) -> Self:
        if self.gates.asks_for_baseline and self.baseline is None:
            raise field_types.Misfit(("baseline",), "this key is required with gates.multiplier")
        if self.load.rate == "auto" and (self.gates.multiplier is None or self.baseline is None):
            raise field_types.Misfit(("load", "rate"), "events per minute; auto needs gates.multiplier and a baseline")
        self._refuse_unfit_rates()
        self._refuse_unfit_shard_values()
        self._refuse_long_events()
        self._refuse_small_bodies()
        self._refuse_unfit_topology()
        self._refuse_unfit_playback()
        self._refuse_unfit_services()
        self._refuse_unfit_one_shots()
        drill_sections.refuse_unfit(
            list(self.drills),
            local=self.target.kind == "local",
            window_seconds=self.load_seconds,
            shots={shot.name for shot in (*self.before, *self.after)},
            series={series.name: self.observe.every for series in self.observed_series if self.observe},
        )
        self._refuse_unfit_requirements()
        self._refuse_short_buckets()
        self._refuse_unfit_kind()
        self._refuse_unfit_facts()
        self._refuse_unfit_series()
        for index, name in enumerate(self.rerun.only if self.rerun else []):
            self._require_blocker(name, ("rerun", "only", index))
        return self

    def _refuse_short_buckets(self) -> None:
        """Raises where a window would be counted in more buckets than a count has."""
        shortest = (self.budget.cap_seconds + self.budget.stop_grace) / MOST_BUCKETS
        if self.receipts.bucket < shortest:
            why = f"{MOST_BUCKETS} buckets are the most a window is counted in"
            raise field_types.Misfit(("receipts", "bucket"), f"at least {instants.write_duration(shortest)}: {why}")

    def _refuse_unfit_facts(self) -> None:
        """Raises for a fact of no blocker of the phase, or with the name of one of burst's own gates."""
        for index, fact in enumerate(self.facts):
            self._require_blocker(fact.blocker, ("facts", index, "blocker"))
            asked_first = self.kind is catalogues.Kind.BURST and fact.blocker in map(self.blocker, self.catalogue.asked)
            if fact.name in self.observed_gates or (gate_names.is_own(fact.name) and not asked_first):
                # released plans of a burst gave those any name, and had no series
                raise field_types.Misfit(
                    ("facts", index, "name"), f"another name: {fact.name} is a gate of burst's own"
                )

    def _require_blocker(self, name: str, place: tuple[str | int, ...]) -> None:
        if name not in self.blockers:
            raise field_types.Misfit(place, f"a blocker of {self.phase}: {', '.join(self.blockers)}")

    def _refuse_unfit_kind(self) -> None:
        """Raises where no run is of the kind, it lacks a key, or no bucket could show what is asked."""
        if self.kind is catalogues.Kind.ROLLUP:
            kinds = ", ".join(kind for kind in catalogues.Kind if kind is not catalogues.Kind.ROLLUP)
            raise field_types.Misfit(("kind",), f"the kind of a run: {kinds}; a roll-up is a step of a campaign")
        if self.kind is catalogues.Kind.BURST and self.gates.admit_ratio is None:
            raise field_types.Misfit(("gates", "admit_ratio"), "this key is required of kind burst")
        if self.kind is catalogues.Kind.REPRODUCIBILITY and self.reproduces is None:
            raise field_types.Misfit(("reproduces",), "this key is required of kind reproducibility")
        contiguity, bucket = self.gates.contiguity, self.receipts.bucket
        if contiguity is not None and contiguity.max_gap is not None and contiguity.max_gap < bucket:
            least = instants.write_duration(bucket)
            raise field_types.Misfit(
                ("gates", "contiguity", "max_gap"),
                f"at least {least}, which receipts.bucket is: a shorter gap is not seen",
            )
        if contiguity is not None:
            self._refuse_gaps_that_no_window_has(contiguity.max_gap)

    def _refuse_gaps_that_no_window_has(self, max_gap: float | None) -> None:
        """Raises where the shortest window that passes could not have a gap that `gates.contiguity` forbids."""
        shortest, bucket = self.budget.min_window, self.receipts.bucket
        window = f"budget.min_window, which is {instants.write_duration(shortest)}"
        if max_gap is not None and max_gap >= shortest:
            raise field_types.Misfit(("gates", "contiguity", "max_gap"), f"less than {window}")
        if bucket * 2 > shortest:
            raise field_types.Misfit(("receipts", "bucket"), f"at most half of {window}: contiguity compares buckets")

    def _refuse_unfit_series(self) -> None:
        """Raises where a series of `observe` does not fit the budget, or names a blocker of another phase."""
        if self.observe is None:
            return
        try:
            self.observe.require_fitting(
                shortest_seconds=self.budget.min_window, longest_seconds=self.budget.cap_seconds
            )
        except field_types.Misfit as exc:
            raise field_types.Misfit(("observe", *exc.key), str(exc)) from None
        for index, series in enumerate(self.observe.series):
            if series.service is not None and self.target.kind == "local":
                why = "nothing: it is an ECS service, and target.kind is local"
                raise field_types.Misfit(("observe", "series", index, "service"), why)
            for position, rule in enumerate(series.rules):
                if rule.rule.period.needs_fault and not self.drills:
                    key = ("observe", "series", index, "rules", position, "over")
                    raise field_types.Misfit(key, f"whole or last 30m: {rule.over} needs a drill, and during has none")
                if rule.blocker not in self.blockers:
                    key = ("observe", "series", index, "rules", position, "blocker")
                    raise field_types.Misfit(key, f"a blocker of {self.phase}: {', '.join(self.blockers)}")

    def _refuse_unfit_services(self) -> None:
        """Raises where services do not fit the target, or two of them have one name."""
        if self.services and self.target.kind == "local":
            raise field_types.Misfit(("services",), "nothing: only ECS services are scaled, and target.kind is local")
        for index, service in enumerate(self.services):
            if service.name in {earlier.name for earlier in self.services[:index]}:
                raise field_types.Misfit(
                    ("services", index, "name"), f"a service once, but {service.name} stands twice"
                )

    def _refuse_unfit_one_shots(self) -> None:
        """Raises where a one-shot does not fit the target, or two of them have one name."""
        shots = [("before", *entry) for entry in enumerate(self.before)]
        shots += [("after", *entry) for entry in enumerate(self.after)]
        earlier = set[str]()
        for section, index, shot in shots:
            if shot.name in earlier:
                raise field_types.Misfit((section, index, "name"), f"distinct names, but {shot.name!r} stands twice")
            earlier.add(shot.name)
            if self.target.kind == "ecs" and ":" not in (shot.task_definition or ""):
                raise field_types.Misfit((section, index, "task_definition"), "a pinned revision, such as reporter:3")
            for key in ("task_definition", "container"):
                if self.target.kind == "local" and getattr(shot, key) is not None:
                    raise field_types.Misfit((section, index, key), f"nothing: kind local takes no {key}")

    def _refuse_unfit_requirements(self) -> None:
        """Raises where an entry of `requires` does not fit the target or the scope."""
        if self.requires is None:
            return
        if self.requires.services and self.target.kind == "local":
            raise field_types.Misfit(("requires", "services"), "nothing: they are ECS services, target.kind is local")
        for index, entry in enumerate(self.requires.phases):
            if self.scope == "fresh" and entry.scope is None:
                why = "the scope that the phase ran in, because scope: fresh has run nothing yet"
                raise field_types.Misfit(("requires", "phases", index, "scope"), f"{why}; any, beside sha256")

    def folders(self, execution_id: str | None) -> tuple[str, ...]:
        """The folders on S3 for the documents of one run of this plan, the authority first.

        A bounded rerun has a folder of its own under its scope, because the scope holds the first attempt's documents.
        """
        rerun = f"/{execution_id}" if self.rerun is not None else ""
        return (
            *(f"{place}/{execution_id}" for place in self.evidence.control_places),
            *(f"{place}/{self.scope}/{self.group}{rerun}" for place in self.evidence.scoped_places),
        )

    @property
    def most_usd(self) -> float | None:
        """What a run may cost at most, in USD: nothing on this machine; None where the plan has no cap."""
        return 0.0 if self.target.kind == "local" else self.budget.cost_cap_usd

    def document(self) -> dict[str, Any]:
        """The plan as `plan.json` holds it: JSON values only, no secret (plans hold references).

        The kind is left out where it is burst, as in every plan of burst 0.1.0.
        """
        value = self.model_dump(mode="json", by_alias=True, exclude_none=True)
        return {key: part for key, part in value.items() if (key, part) != ("kind", catalogues.Kind.BURST)}


def _override(source: yaml_lines.Source, assignment: str) -> None:
    key, separator, text = assignment.partition("=")
    path = tuple(key.split("."))
    if not separator or not all(path):
        seen = f"{key}=" if separator else key
        raise errors.UsageError(f"--set {seen}: allowed: KEY=VALUE with a dotted key, such as budget.operator_cap=16m")
    target = source.value
    for step in path[:-1]:
        target = target.setdefault(step, {})
        if not isinstance(target, dict):
            raise errors.UsageError(f"--set {key}: {step} is not a mapping in {source.name}")
    if path[-1] in field_types.SECRET_KEYS and not field_types.SECRET_REFERENCE.fullmatch(text):
        raise errors.UsageError(f"--set {key}: saw a value (hidden); allowed: {field_types.REFERENCE_ALLOWED}")
    try:
        target[path[-1]] = yaml_lines.parse_scalar(text, f"--set {key}")
    except (yaml.YAMLError, ValueError):
        raise errors.UsageError(f"--set {key}: the value is not YAML; quote it") from None


def read(content: bytes, *, source: str) -> Plan:
    """The plan of a run, as it was frozen; messages call it `source`.

    burst wrote it, so it is no mistake of a person. Raises `errors.EvidenceCorrupt` where it is torn, and
    `errors.EvidenceUnknown` where it is the plan of a version that knows other keys or values.
    """
    try:
        return parse(content.decode(), source=source)
    except UnicodeDecodeError as exc:
        raise errors.EvidenceCorrupt(f"{source} is not the plan that was frozen: it is no UTF-8 text") from exc
    except yaml_lines.PlanError as exc:
        first = exc.problems[0]
        if first.key in (yaml_lines.SYNTAX, yaml_lines.WHOLE_FILE):
            raise errors.EvidenceCorrupt(f"{source} is not the plan that was frozen: {exc}") from exc
        raise errors.EvidenceUnknown(f"{source} is a plan that this version of burst does not know: {exc}") from exc


def parse(text: str, *, source: str, overrides: tuple[str, ...] = ()) -> Plan:
    """A plan from YAML or JSON text; messages call it `source`, and `overrides` are the values of `--set`.

    Raises `yaml_lines.PlanError` with every problem.
    """
    composed = yaml_lines.Source(text, source, "burst.plan/v1")
    if composed.problems:
        raise yaml_lines.PlanError(source, tuple(composed.problems))
    for assignment in overrides:
        _override(composed, assignment)
    problems = list(plan_problems.find_unfilled(composed))
    try:
        plan = Plan.model_validate(composed.value)
    except pydantic.ValidationError as exc:
        keys = {problem.key for problem in problems}
        refusals = plan_problems.explain_refusal(exc, composed, Plan)
        named = (rate_sections.name_derived_window(problem, composed.value) for problem in refusals)
        problems.extend(problem for problem in named if problem.key not in keys)
    if problems:
        placed = [_place(problem, composed, overrides) for problem in problems]
        raise yaml_lines.PlanError(source, tuple(sorted(placed, key=lambda problem: problem.line)))
    return plan


def _place(problem: yaml_lines.Problem, source: yaml_lines.Source, overrides: tuple[str, ...]) -> yaml_lines.Problem:
    """The problem; with the option that said its value, where that is on the command line and not in the file."""
    for key in (assignment.partition("=")[0] for assignment in overrides):
        is_below = problem.key == key or problem.key.startswith((f"{key}.", f"{key}["))
        is_new = key.startswith(f"{problem.key}.") and tuple(problem.key.split(".")) not in source.lines
        if is_below or is_new:
            name = f"--set {key}" if is_below and problem.key == key else f"--set {key}: {problem.key}"
            return replace(problem, option=name)
    return problem
