"""Promotions: the document by which a gate becomes required, and the one by which it is informational again.

A promotion is judged from a block of runs: so many that follow one another, all of one phase, by one contract and in
one setting, each a PASS, whose figures are alike (`stability`). It holds each run's snapshot by digest and the figures,
so that `burst verify` derives it again. A block that is refused is a document too: the runs of it are used up, and the
next block begins after them. Trying on until five runs in a row look alike would promote a gate that is not stable.
"""

import itertools
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final, Literal, Self, get_args

import pydantic

from burst.domain.basics import canonical, errors, magnitudes, wording
from burst.domain.documents import models, window_metrics
from burst.domain.verdict import cases, measures, snapshot_sections, stability

SCHEMA = "burst.promotion/v1"
PROMOTED: Final = "PROMOTED"
REFUSED: Final = "REFUSED"
Decision = Literal["PROMOTED", "REFUSED"]
HistorySource = Literal["attempts", "place", "nothing"]
Rule = Literal[
    "passed",
    "contract",
    "setting",
    "overlap",
    "consecutive",
    "block",
    "figure",
    "samples",
    "spread",
    "cv",
    "range",
    "trend",
]
RULES: tuple[str, ...] = get_args(Rule)
"""What a block is judged by, in the order in which reasons against it are told."""
Json = str | int | float | bool | None
GateName = Annotated[str, pydantic.Field(pattern=r"^[a-z0-9_:.-]{1,128}$")]


class PromotedRun(models.Model):
    """One run of the block: its snapshot by digest, and the figure that was measured in it."""

    execution_id: str
    platform_run_id: str
    """The scope of the run."""
    snapshot: str
    """The file name of its snapshot."""
    sha256: models.Digest
    attempt: models.Count | None
    """Its number among the attempts of the phase; None where its snapshot does not say."""
    contract: models.Digest
    """The digest of the terms of its verdict."""
    setting_sha256: models.Digest
    """The digest of its program, load, environment and machine; figures of others are not compared."""
    window: window_metrics.WindowEntry
    """The window that its receipts were counted in."""
    value: Annotated[float, pydantic.Field(ge=magnitudes.SMALLEST, le=magnitudes.LARGEST)] | None
    """The figure that was measured in it; None where it has no such figure."""
    samples: models.Count | None
    """How many answers the figure rests on; None where it does not rest on answers."""


class LimitsEntry(models.Model):
    """What the block was held to."""

    runs: Annotated[int, pydantic.Field(ge=stability.BLOCK, le=stability.MOST_RUNS)]
    """How many runs the block has."""
    declared_by: Literal["plan", "default"]
    """Whether the plan of the runs said how many runs a block has."""
    cv_at_most: float
    """The highest coefficient of variation that promotes."""
    max_over_min_at_most: float
    """The highest ratio of the greatest figure to the least that promotes."""
    trend_p_above: float
    """The chance of an order so plain has to be above this, or the figures show a trend."""
    samples_at_least: models.Count | None
    """How many answers each figure has to rest on; None where it does not rest on answers."""

    @classmethod
    def of_block(cls, runs: int, *, declared: bool, samples_at_least: int | None) -> Self:
        """The limits of a block of so many runs."""
        return cls(
            runs=runs,
            declared_by="plan" if declared else "default",
            cv_at_most=stability.LIMITS.cv_at_most,
            max_over_min_at_most=stability.LIMITS.max_over_min_at_most,
            trend_p_above=stability.LIMITS.trend_p_above,
            samples_at_least=samples_at_least,
        )


class BlockFiguresEntry(models.Model):
    """The figures of the block."""

    mean: float
    """The mean of the figures of the runs."""
    standard_deviation: float
    """The sample standard deviation of those figures."""
    cv: float
    """`standard_deviation` divided by `mean`."""
    cv_upper: float | None
    """The upper bound of the true coefficient of variation; None where no bound can be had."""
    confidence: float
    """The confidence of that bound."""
    proving_cv: float
    """The greatest coefficient of so many runs that would prove the limit."""
    max_over_min: float
    """The greatest figure divided by the least."""
    kendall_s: int
    """Pairs of runs in which the later figure is greater, less those in which it is smaller."""
    trend_p: float
    """How often an order so plain, in either direction, comes by chance."""

    @classmethod
    def from_values(cls, values: Sequence[float]) -> Self:
        """The figures of these values, in the order of their runs."""
        block = stability.Stability(values=tuple(values))
        return cls(
            mean=block.mean,
            standard_deviation=block.standard_deviation,
            cv=block.cv,
            cv_upper=block.cv_upper,
            confidence=stability.CONFIDENCE,
            proving_cv=stability.find_certifying_cv(stability.LIMITS.cv_at_most, len(values)),
            max_over_min=block.max_over_min,
            kendall_s=block.order,
            trend_p=block.trend_p,
        )

    @property
    def proves(self) -> bool:
        """Whether the upper bound keeps the limit too."""
        return self.cv_upper is not None and self.cv_upper <= stability.LIMITS.cv_at_most


class HistoryEntry(models.Model):
    """The runs around the block, as far as they were known."""

    known_by: HistorySource
    """Whether the attempts, the place of the runs, or nothing tells which runs lie around the block."""
    runs_before: models.Count | None
    """How many runs of the same streak came before the block; None where nobody can tell."""
    left_out: list[str]
    """Runs of the phase between those of the block; one of them refuses it."""


class ReasonEntry(models.Model):
    """One limit or condition that the block does not keep."""

    rule: Rule
    """The condition that is broken."""
    why: models.Words
    """How it is broken, in words."""


class Promotion(models.Model):
    """`burst.promotion/v1`: a block of runs, its figures, and whether they make the gate required."""

    schema_: Annotated[Literal["burst.promotion/v1"], pydantic.Field(alias="schema")] = "burst.promotion/v1"
    decision: Decision
    """Whether the gate becomes required."""
    phase: str
    """The phase that the gate belongs to."""
    gate: GateName
    """The gate that is promoted."""
    measure: str
    """The figure that was measured in each run, by name or as a pointer into a document."""
    unit: str | None
    """The unit of that figure; None where it has none."""
    limits: LimitsEntry
    """What the block was held to."""
    contract: models.Digest
    """The digest of the terms that all runs of the block have in common; else the newest run's."""
    setting: dict[str, Json]
    """Program, load and environment of the newest run."""
    history: HistoryEntry
    """The runs around the block, as far as they were known."""
    runs: list[PromotedRun]
    """The runs of the block, the earliest first."""
    figures: BlockFiguresEntry | None
    """The figures of the block; None where a run has no figure."""
    reasons: list[ReasonEntry]
    """Why the block is refused; none where it promotes."""
    statement: models.Words
    """The decision with its figures, in one sentence."""
    verifier: snapshot_sections.Verifier
    """The program and the version that decided."""

    @property
    def promoted(self) -> bool:
        """Whether the gate may be required by it."""
        return self.decision == PROMOTED

    @property
    def exit_code(self) -> int:
        """0 where it promotes; 3 where the block was judged and refused, as a HOLD is."""
        return 0 if self.promoted else 3


class Demotion(models.Model):
    """`burst.demotion/v1`: a promoted gate is informational again, and why."""

    schema_: Annotated[Literal["burst.demotion/v1"], pydantic.Field(alias="schema")] = "burst.demotion/v1"
    phase: str
    """The phase that the gate belongs to."""
    gate: GateName
    """The gate that is informational again."""
    promotion_sha256: models.Digest
    """SHA-256 of the promotion that it takes back."""
    reason: Annotated[str, pydantic.Field(min_length=1, max_length=2000)]
    """Why, in the operator's words."""
    demoted_utc: models.Instant
    """When it was made, by the clock of whoever demoted."""
    verifier: snapshot_sections.Verifier
    """The program and the version that made it."""


def read(content: bytes) -> Promotion:
    """A promotion from its canonical bytes, its decision held against its own figures.

    Raises `errors.EvidenceCorrupt` where bytes or decision are not as they should be, `errors.EvidenceUnknown` for
    another schema.
    """
    promotion = models.read(Promotion, content)
    _require_canonical(content)
    problem = find_contradiction(promotion)
    if problem:
        raise errors.EvidenceCorrupt(f"the promotion contradicts itself: {problem}")
    return promotion


def read_demotion(content: bytes) -> Demotion:
    """A demotion from its canonical bytes. Raises as `read` does."""
    demotion = models.read(Demotion, content)
    _require_canonical(content)
    return demotion


def _require_canonical(content: bytes) -> None:
    if canonical.encode(canonical.decode(content)) != content:
        raise errors.EvidenceCorrupt("its bytes are not the canonical form of what they say")


def find_contradiction(promotion: Promotion) -> str:
    """In what a promotion contradicts its own figures; empty where it does not. Nothing numerical is loaded for it."""
    limits, runs = promotion.limits, promotion.runs
    expected = LimitsEntry.of_block(
        limits.runs, declared=limits.declared_by == "plan", samples_at_least=limits.samples_at_least
    )
    if limits != expected or limits.samples_at_least != measures.LEAST_ANSWERS.get(promotion.measure):
        return "its limits are not those of this version"
    problem = measures.find_gate_problem(promotion.measure, promotion.gate)
    if problem:
        return problem
    if len(runs) != limits.runs or len({run.execution_id for run in runs}) != len(runs):
        return f"it does not name {limits.runs} runs"
    if promotion.promoted is bool(promotion.reasons):
        return f"it says {promotion.decision}, with {len(promotion.reasons)} reasons against"
    broken = {rule for rule, _ in list_broken(promotion)}
    stated = {reason.rule for reason in promotion.reasons}
    if _misstates_figures(promotion):
        return "its figures are not those of its runs"
    broken |= {"samples"} if _list_scarce(promotion) else set()
    if broken - stated or (stated - broken) - {"passed"}:
        return f"by its figures these are broken: {', '.join(sorted(broken)) or 'none'}"
    return ""


def _misstates_figures(promotion: Promotion) -> bool:
    """Whether the figures that can be told without a numerical library are others than those of the runs."""
    values, figures = [run.value for run in promotion.runs if run.value is not None], promotion.figures
    if figures is None or len(values) < len(promotion.runs):
        return (figures is None) is not (len(values) < len(promotion.runs))
    block = stability.Stability(values=tuple(values))
    stated = (figures.mean, figures.standard_deviation, figures.cv, figures.max_over_min)
    return (*stated, figures.kendall_s, figures.trend_p) != (
        *(block.mean, block.standard_deviation, block.cv, block.max_over_min),
        *(block.order, block.trend_p),
    )


def _list_scarce(promotion: Promotion) -> list[str]:
    """The runs whose figure rests on too few answers."""
    least = promotion.limits.samples_at_least or 0
    return [run.execution_id for run in promotion.runs if run.value is not None and (run.samples or 0) < least]


def list_broken(promotion: Promotion) -> list[tuple[str, str]]:
    """The conditions that the runs of a promotion do not keep by what it says of them, each with words."""
    runs, history = promotion.runs, promotion.history
    broken = []
    for rule, digests in (
        ("contract", {run.contract for run in runs}),
        ("setting", {run.setting_sha256 for run in runs}),
    ):
        if len(digests) > 1:
            broken.append((rule, f"the runs are of {len(digests)} {rule}s"))
    windows = [run.window.window for run in runs]
    for earlier, later in itertools.pairwise(windows):
        if later.start < earlier.end:
            broken.append(("overlap", f"the windows {earlier} and {later} overlap"))
            break
    broken += _list_broken_history(history, promotion.limits.runs)
    values = [run.value for run in runs if run.value is not None]
    if len(values) < len(runs):
        lacking = ", ".join(run.execution_id for run in runs if run.value is None)
        return [*broken, ("figure", f"no {promotion.measure} is known of {lacking}")]
    return [*broken, *stability.Stability(values=tuple(values)).list_broken()]


def _list_broken_history(history: HistoryEntry, block: int) -> list[tuple[str, str]]:
    if history.known_by == "nothing":
        return [("consecutive", "nobody can tell whether a run between them was left out")]
    broken = []
    if history.left_out:
        broken.append(("consecutive", f"these runs of the phase lie between them: {', '.join(history.left_out)}"))
    if history.runs_before is None:
        broken.append(("block", "nobody can tell how many runs of the same streak came before the block"))
    elif history.runs_before % block:
        behind = history.runs_before % block
        before = wording.format_count(history.runs_before, "run")
        begins = f"a block begins {behind} earlier, or {block - behind} later"
        broken.append(("block", f"{before} of the same streak came before it; blocks do not overlap: {begins}"))
    return broken


def describe(promotion: Promotion) -> str:
    """What a promotion says of its gate, in one sentence."""
    figures, limits = promotion.figures, promotion.limits
    if not promotion.promoted or figures is None:
        why = "; ".join(reason.why for reason in promotion.reasons)
        return f"it stays informational: {why}"
    bound = "has no upper bound" if figures.cv_upper is None else f"is at most {figures.cv_upper:.3g}"
    confidence = f"with {figures.confidence:.0%} confidence"
    spread = f"a coefficient of variation of {figures.cv:.3g} over {limits.runs} runs"
    if figures.proves:
        return f"proved: {spread}; the true one {bound}, {confidence}"
    return (
        f"screened, not proved: {spread}; the true one {bound}, {confidence}; {limits.runs} runs prove "
        f"{limits.cv_at_most:g} only up to {figures.proving_cv:.3g}"
    )


def list_differing(again: Promotion, published: Promotion) -> tuple[str, ...]:
    """The fields in which a promotion that was derived again differs from the published one; its sentences count where
    the same version wrote both."""
    alike = again.verifier == published.verifier
    ours, theirs = (each.document() if alike else each.judged_value() for each in (again, published))
    return tuple(sorted(name for name in ours if name != "verifier" and ours[name] != theirs[name]))


def make_demotion(promotion_content: bytes, reason: str, demoted_at: datetime) -> Demotion:
    """The demotion of the gate that a promotion made required.

    Raises as `read` does, and `errors.UsageError` where nothing was promoted, or no reason is given.
    """
    promotion = read(promotion_content)
    if not promotion.promoted:
        raise errors.UsageError(f"{promotion.gate} was refused by it, so there is nothing to demote")
    if not reason.strip():
        raise errors.UsageError("--reason is empty; allowed: a sentence that says why")
    return Demotion(
        phase=promotion.phase,
        gate=promotion.gate,
        promotion_sha256=find_digest(promotion_content),
        reason=reason.strip()[:2000],
        demoted_utc=demoted_at,
        verifier=dict(cases.VERIFIER),
    )


def is_demotion_of(content: bytes, demotion: Demotion) -> bool:
    """Whether bytes are a demotion like this one, made at whatever time."""
    try:
        earlier = read_demotion(content)
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown):
        return False
    return earlier.model_copy(update={"demoted_utc": demotion.demoted_utc}) == demotion


def find_digest(content: bytes) -> str:
    """The digest by which plans and demotions name a promotion."""
    return canonical.digest(content)
