"""Blocks: the runs of one promotion, put in order and judged, whatever the order in which they are named.

Runs count only as a block: each a sound PASS, by one contract and in one setting, none left out between them, and never
one run in two blocks. A streak is broken by a run that held, has no verdict, or is of another contract or setting. From
its first run on, blocks follow one another.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from burst.domain.basics import canonical, errors, windows, wording
from burst.domain.documents import attempts, window_metrics
from burst.domain.plan import load_sections, plans, target_sections
from burst.domain.verdict import baselines, cases, promotions, stability

Setting = Mapping[str, promotions.Json]


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockRun:
    """One run of a block, its evidence sound."""

    execution_id: str
    scope: str
    snapshot: str
    sha256: str
    passed: bool
    contract: str
    setting: Setting = field(hash=False)
    window: windows.Window
    value: float | None
    problem: str = ""
    """Why it has no figure."""
    samples: int | None = None
    attempt: int | None = None
    claimed: str | None = None
    """The digest of the terms that its attempt was begun with."""
    earlier: tuple[attempts.EarlierAttempt, ...] = ()
    """The attempts before it, the first one first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlaceRun:
    """A run of the phase as its place shows it; None: not known."""

    execution_id: str
    passed: bool | None
    contract: str | None
    setting: Setting | None = field(default=None, hash=False)

    def continues(self, run: BlockRun) -> bool:
        """Whether a streak goes on from it to a later run."""
        same_setting = self.setting is None or dict(self.setting) == dict(run.setting)
        return self.passed is True and self.contract == run.contract and same_setting


@dataclass(frozen=True, slots=True, kw_only=True)
class BlockTerms:
    """What a block is asked: the gate, the measure by name and unit, and how many runs it has."""

    phase: str
    gate: str
    measure: str
    unit: str | None
    runs: int = stability.BLOCK
    declared: bool = False
    """Whether the plan of the runs says how many."""
    samples_at_least: int | None = None


def describe_setting(plan: plans.Plan, machine: Setting | None) -> dict[str, promotions.Json]:
    """Program, load and environment of a run, by its plan and what preflight saw of the machine."""
    target, load = plan.target, baselines.describe_load(plan)
    stated: dict[str, promotions.Json] = {
        "environment": plan.environment,
        "target.kind": target.kind,
        "target.cluster": target.cluster,
        "target.task_definition": target.task_definition,
        "target.container": target.container,
        "target.capacity": " ".join(target.capacity or ()),
        **{f"load.{name}": load_sections.name_program(value) for name, value in load.items()},
        **{f"services.{service.name}": service.desired for service in plan.services},
        **{f"services.{service.name}.task_definition": service.task_definition for service in plan.services},
        **{name: text for service in plan.services for name, text in _list_variables(service)},
        **{f"machine.{name}": value for name, value in (machine or {}).items()},
    }
    return {name: value for name, value in stated.items() if value not in (None, "")}


def _list_variables(service: target_sections.ServiceSection) -> list[tuple[str, str]]:
    """The variables that a service gets for a run, each as it stands in the plan, so that no scope is part of them."""
    environment = service.environment or {}
    return [(f"services.{service.name}.environment.{name}", value) for name, value in environment.items()]


def digest_setting(setting: Setting) -> str:
    """The digest of a setting."""
    return canonical.digest(canonical.encode(dict(setting)))


def judge(runs: Iterable[BlockRun], terms: BlockTerms, place_runs: Sequence[PlaceRun] | None) -> promotions.Promotion:
    """The promotion of a block.

    `place_runs`: the runs of the phase at the place of these, the oldest first, from the streak before the block to its
    last run at least; None where no place shows them.

    Raises `errors.UsageError` where the runs are not as many as a block has, or one stands twice.
    """
    block = sorted(runs, key=lambda run: (run.window.start, run.execution_id))
    ids = [run.execution_id for run in block]
    if len(set(ids)) != len(ids):
        twice = sorted({name for name in ids if ids.count(name) > 1})
        raise errors.UsageError(f"{', '.join(twice)} stands twice; name each run of the block once")
    if len(block) != terms.runs:
        by = "the plan of these runs declares" if terms.declared else "by default a block has"
        raise errors.UsageError(
            f"{wording.format_count(len(block), 'run')} named, and {by} {terms.runs}; name exactly {terms.runs} runs"
        )
    newest = block[-1]
    values = [run.value for run in block if run.value is not None]
    draft = promotions.Promotion(
        decision=promotions.REFUSED,
        phase=terms.phase,
        gate=terms.gate,
        measure=terms.measure,
        unit=terms.unit,
        limits=promotions.LimitsEntry.of_block(
            terms.runs, declared=terms.declared, samples_at_least=terms.samples_at_least
        ),
        contract=newest.contract,
        setting=dict(newest.setting),
        history=find_history(block, place_runs),
        runs=[_enter(run) for run in block],
        figures=promotions.BlockFiguresEntry.from_values(values) if len(values) == len(block) else None,
        reasons=[],
        statement="",
        verifier=dict(cases.VERIFIER),
    )
    reasons = [*_list_held(block), *promotions.list_broken(draft), *_list_scarce(block, terms)]
    return _decide(draft, [(rule, _explain(rule, why, block)) for rule, why in reasons])


def judge_within(promotion: promotions.Promotion, history: promotions.HistoryEntry) -> promotions.Promotion:
    """The same block, judged by another history of the runs around it."""
    moved = promotion.model_copy(update={"history": history})
    by_history = ("consecutive", "block")
    kept = [(reason.rule, reason.why) for reason in promotion.reasons if reason.rule not in by_history]
    added = [(rule, why) for rule, why in promotions.list_broken(moved) if rule in by_history]
    return _decide(moved, [*kept, *added])


def _decide(draft: promotions.Promotion, reasons: Iterable[tuple[str, str]]) -> promotions.Promotion:
    ordered = sorted(reasons, key=lambda reason: promotions.RULES.index(reason[0]))
    entries = [promotions.ReasonEntry.model_validate({"rule": rule, "why": why}) for rule, why in ordered]
    decision: promotions.Decision = promotions.REFUSED if entries else promotions.PROMOTED
    judged = draft.model_copy(update={"reasons": entries, "decision": decision})
    return judged.model_copy(update={"statement": promotions.describe(judged)})


def _list_held(block: Sequence[BlockRun]) -> list[tuple[str, str]]:
    held = [run.execution_id for run in block if not run.passed]
    return [("passed", f"not a PASS: {', '.join(held)}; a run that held breaks the streak")] if held else []


def _list_scarce(block: Sequence[BlockRun], terms: BlockTerms) -> list[tuple[str, str]]:
    least = terms.samples_at_least
    if least is None:
        return []
    scarce = [f"{run.execution_id} has {run.samples}" for run in block if run.value and (run.samples or 0) < least]
    return [("samples", f"{', '.join(scarce)} answers; a percentile needs {least} at least")] if scarce else []


def _explain(rule: str, why: str, block: Sequence[BlockRun]) -> str:
    """A reason, with what only the runs themselves tell."""
    if rule == "setting":
        names = sorted({name for run in block for name in run.setting})
        differing = [name for name in names if len({repr(run.setting.get(name)) for run in block}) > 1]
        return f"{why}, which differ in {', '.join(differing)}"
    if rule == "figure":
        return "; ".join([why, *(f"{run.execution_id}: {run.problem}" for run in block if run.problem)])
    return why


def _enter(run: BlockRun) -> promotions.PromotedRun:
    return promotions.PromotedRun(
        execution_id=run.execution_id,
        platform_run_id=run.scope,
        snapshot=run.snapshot,
        sha256=run.sha256,
        attempt=run.attempt,
        contract=run.contract,
        setting_sha256=digest_setting(run.setting),
        window=window_metrics.WindowEntry.from_window(run.window),
        value=run.value,
        samples=run.samples,
    )


def find_history(block: Sequence[BlockRun], place_runs: Sequence[PlaceRun] | None) -> promotions.HistoryEntry:
    """What attempts and place tell of the runs around a block, which is in order.

    An attempt names every one before it, of which a place may have lost some; a place shows runs that were given no
    number. Whichever of them tells of a run that was left out, it was.
    """
    numbered = all(run.attempt is not None for run in block)
    placed = place_runs is not None and {run.execution_id for run in block} <= {run.execution_id for run in place_runs}
    by_attempts = _list_unnamed_attempts(block) if numbered else []
    by_place = _list_between(block, place_runs) if placed and place_runs is not None else []
    settings = {run.execution_id: run.setting for run in place_runs or () if run.setting is not None}
    before = None
    if numbered:
        before = _count_streak(block[0], [_place_attempt(entry, block[0], settings) for entry in block[0].earlier])
    elif placed and place_runs is not None:
        first = min(
            place for place, run in enumerate(place_runs) if run.execution_id in {each.execution_id for each in block}
        )
        before = _count_streak(block[0], place_runs[:first])
    return promotions.HistoryEntry.model_validate(
        {
            "known_by": "attempts" if numbered else "place" if placed else "nothing",
            "runs_before": before,
            "left_out": sorted({*by_attempts, *by_place}),
        }
    )


def _place_attempt(entry: attempts.EarlierAttempt, run: BlockRun, settings: Mapping[str, Setting]) -> PlaceRun:
    return PlaceRun(
        execution_id=entry.execution_id,
        passed=None if entry.verdict is None else entry.verdict == "PASS",
        contract=run.contract if entry.contract == run.claimed else None,
        setting=settings.get(entry.execution_id),
    )


def _count_streak(run: BlockRun, earlier: Sequence[PlaceRun]) -> int:
    """How many runs before this one belong to its streak."""
    count = 0
    for before in reversed(earlier):
        if not before.continues(run):
            break
        count += 1
    return count


def _list_between(block: Sequence[BlockRun], place_runs: Sequence[PlaceRun]) -> list[str]:
    own = {run.execution_id for run in block}
    positions = [place for place, run in enumerate(place_runs) if run.execution_id in own]
    return [run.execution_id for run in place_runs[min(positions) : max(positions)] if run.execution_id not in own]


def _list_unnamed_attempts(block: Sequence[BlockRun]) -> list[str]:
    """The attempts between those of the block; runs that do not name each other are of two run controls, and whatever
    the later one names since is between them."""
    last, own = block[-1], {run.execution_id for run in block}
    named = [entry.execution_id for entry in last.earlier]
    first = next((place for place, name in enumerate(named) if name in own), len(named))
    between = {name for name in named[first:] if name not in own}
    numbered = {name: number for number, name in enumerate([*named, last.execution_id], start=1)}
    strangers = [run for run in block if numbered.get(run.execution_id) != run.attempt]
    between |= {f"attempt {run.attempt} of another run control ({run.execution_id})" for run in strangers}
    return sorted(between)
