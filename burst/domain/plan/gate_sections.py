"""The figures that a run must reach, and which of their gates are informational."""

import re
import typing
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.plan import field_types, plan_problems, rate_sections, sections

LEAST_OFFERED = 0.99


AnswerLimit = Literal["latency_p95_ms", "latency_p99_ms", "error_ratio", "client_error_ratio", "server_error_ratio"]
"""The limits on answers that a plan may set; each is the name of its gate."""
COUNTED_LIMITS = ("multiplier", "admit_ratio")
STEP_LIMITS = (*COUNTED_LIMITS, *typing.get_args(AnswerLimit))
"""The limits that may name a step, as `LIMIT@STEP`."""


class ContiguitySection(sections.Section):
    """Receipts through the whole window: in every whole bucket, or with `max_gap` no longer gap than that."""

    max_gap: Annotated[
        field_types.PositiveDuration | None,
        pydantic.Field(description="The longest stretch of buckets without a receipt; at least one bucket."),
    ] = None


class ShareSection(sections.Section):
    """The limits of one decision's share of all receipts of the window."""

    at_most: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    """The largest share."""
    at_least: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    """The least share."""

    @pydantic.model_validator(mode="after")
    def _some_limit(self) -> Self:
        if self.at_most is None and self.at_least is None:
            raise field_types.Misfit(("at_most",), "at_most, at_least, or both")
        if self.at_most is not None and self.at_least is not None and self.at_least > self.at_most:
            raise field_types.Misfit(("at_least",), f"no more than at_most, which is {self.at_most:g}")
        return self


ModalGate = Literal[
    "latency_p95_ms",
    "latency_p99_ms",
    "error_ratio",
    "client_error_ratio",
    "server_error_ratio",
    "multiplier_lower",
]
"""The gates that may be informational: what a burst has to do at least is never one of them."""
INFORMATIONAL: Literal["informational"] = "informational"


class ModeSection(sections.Section):
    """Whether a gate opens its blocker (required) or is answered and shown alone (informational).

    It is informational until a promotion says that its figure is stable, and informational again by a demotion alone.
    """

    mode: Literal["informational", "required"]
    """informational: shown, and opens nothing. required: promoted by a document."""
    block: Annotated[
        int | None,
        pydantic.Field(ge=5, le=20, description="How many runs a promotion has, said before the first of them; 5."),
    ] = None
    promoted_by: Annotated[
        str | None,
        pydantic.Field(pattern=r"^[0-9a-f]{64}$", description="The digest of the promotion that made it required."),
    ] = None
    demoted_by: Annotated[
        str | None,
        pydantic.Field(pattern=r"^[0-9a-f]{64}$", description="The digest of the demotion, where it was promoted."),
    ] = None

    @pydantic.model_validator(mode="after")
    def _fitting(self) -> Self:
        informational = self.mode == INFORMATIONAL
        for name, fits in (("block", informational), ("demoted_by", informational), ("promoted_by", not informational)):
            if getattr(self, name) is not None and not fits:
                raise field_types.Misfit((name,), f"nothing with mode: {self.mode}")
        if not informational and self.promoted_by is None:
            raise field_types.Misfit(("promoted_by",), "a digest; without one leave the mode out: a gate is required")
        return self


class GatesSection(sections.Section):
    """The figures that a burst must reach. A reference run, whose rate becomes a baseline, has no multiplier.

    A limit of `STEP_LIMITS` with the name of a step of `load.rate`, such as `latency_p95_ms@steady`, is asked of that
    step alone.
    """

    model_config = pydantic.ConfigDict(extra="allow")
    __pydantic_extra__: dict[str, Annotated[float, pydantic.Field(ge=0)]]

    multiplier: Annotated[float, pydantic.Field(gt=0)] | None = None
    """How many times the baseline's admits a second."""
    admit_ratio: Annotated[
        float | None, pydantic.Field(gt=0, le=1, description="Required of kind burst, and asked only where it is set.")
    ] = None
    offered_load: Annotated[float, pydantic.Field(gt=0, le=1)] | None = None
    """The share of what is due that the generator has to send in time; 0.99 unless said."""
    latency_p95_ms: Annotated[float, pydantic.Field(gt=0)] | None = None
    """The most milliseconds in which 95 of 100 requests are answered."""
    latency_p99_ms: Annotated[float, pydantic.Field(gt=0)] | None = None
    """The same of 99 of 100."""
    error_ratio: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    """The largest share of requests without a good answer."""
    client_error_ratio: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    """The largest share of requests refused with a status of 400 to 499."""
    server_error_ratio: Annotated[float, pydantic.Field(ge=0, le=1)] | None = None
    """The largest share of requests that ended with a status of 500 to 599."""
    min_admits: Annotated[
        field_types.PositiveWhole | None, pydantic.Field(description="ADMIT receipts that the window has to hold.")
    ] = None
    contiguity: Annotated[
        ContiguitySection | None, pydantic.Field(description="{}: no whole bucket of the window without a receipt.")
    ] = None
    decision_shares: Annotated[
        dict[Literal["ADMIT", "DUPLICATE", "QUARANTINE"], ShareSection] | None,
        pydantic.Field(min_length=1, description="Limits of a decision's share of all receipts of the window."),
    ] = None
    expect_duplicates: Annotated[
        field_types.PositiveWhole | None,
        pydantic.Field(description="DUPLICATE receipts that the window has to hold, where a drill injects them."),
    ] = None
    warn_at: dict[AnswerLimit, Annotated[float, pydantic.Field(ge=0)]] | None = None
    """Nearer limits, at which a gate that passes warns."""
    multiplier_lower: Annotated[
        float | None,
        pydantic.Field(gt=0, description="The least lower bound of the multiplier's 95 % interval; asked where set."),
    ] = None
    modes: Annotated[
        dict[ModalGate, ModeSection] | None,
        pydantic.Field(min_length=1, description="Gates that are informational, or promoted; others are required."),
    ] = None
    records: Annotated[
        list[Annotated[str, pydantic.Field(min_length=1)]] | None,
        pydantic.Field(min_length=1, description="The files, or s3:// objects, of the promotions and demotions named."),
    ] = None

    @pydantic.model_validator(mode="after")
    def _known_step_limits(self) -> Self:
        for key, limit in self.__pydantic_extra__.items():
            name, at, step = key.partition("@")
            if not at or name not in STEP_LIMITS or not re.fullmatch(rate_sections.STEP_NAME, step):
                raise field_types.UnknownKey((key,), plan_problems.list_keys(key, GatesSection, STEP_LIMITS))
            if not limit and not name.endswith("error_ratio"):
                raise field_types.Misfit((key,), "greater than 0")
            if name.endswith("_ratio") and limit > 1:
                raise field_types.Misfit((key,), "less than or equal to 1")
        return self

    @property
    def step_limits(self) -> tuple[tuple[str, str, float], ...]:
        """Every limit of a step: its name, the step, and the limit."""
        parts = ((key.partition("@"), limit) for key, limit in sorted(self.__pydantic_extra__.items()))
        return tuple((name, step, limit) for (name, _, step), limit in parts)

    def find_multiplier(self, step: str | None = None) -> float | None:
        """The multiple of the baseline that is asked of a step, where none is of the whole burst."""
        own = (limit for name, of, limit in self.step_limits if (name, of) == ("multiplier", step))
        return next(own, self.multiplier)

    @property
    def asks_for_baseline(self) -> bool:
        """Whether a multiple of the baseline is asked, of the burst or of a step."""
        return self.multiplier is not None or any(name == "multiplier" for name, *_ in self.step_limits)

    @pydantic.model_validator(mode="after")
    def _modes_of_limits(self) -> Self:
        digests = [mode.promoted_by or mode.demoted_by for mode in (self.modes or {}).values()]
        for name in self.modes or {}:
            if getattr(self, name) is None:
                raise field_types.Misfit(("modes", name), "nothing: the plan sets no such limit")
        if any(digests) and self.records is None:
            raise field_types.Misfit(
                ("records",), "the files of the promotions and demotions that modes names by digest"
            )
        if self.records is not None and not any(digests):
            raise field_types.Misfit(("records",), "nothing: modes names no promotion and no demotion by digest")
        if self.multiplier_lower is not None and self.multiplier is None:
            raise field_types.Misfit(("multiplier_lower",), "nothing without multiplier")
        return self

    def find_block(self, gate: str) -> int | None:
        """How many runs a promotion of a gate has, where the plan says so before the first of them."""
        return next((mode.block for name, mode in (self.modes or {}).items() if name == gate), None)

    @property
    def promoted(self) -> dict[str, str]:
        """The gates that a promotion made required, each with its digest."""
        return {name: mode.promoted_by for name, mode in (self.modes or {}).items() if mode.promoted_by is not None}

    def is_informational(self, gate: str) -> bool:
        """Whether a gate, by its name, opens nothing."""
        return any(name == gate and mode.mode == INFORMATIONAL for name, mode in (self.modes or {}).items())

    @pydantic.model_validator(mode="after")
    def _warn_below_limits(self) -> Self:
        for name, warn_at in (self.warn_at or {}).items():
            limit = getattr(self, name)
            if limit is None or warn_at >= limit:
                below = "nothing: the plan sets no such limit" if limit is None else f"less than the limit, {limit:g}"
                raise field_types.Misfit(("warn_at", name), below)
        return self

    @property
    def share_limits(self) -> tuple[tuple[str, str, float], ...]:
        """Every limit of a share: the decision, `at_most` or `at_least`, and the share."""
        return tuple(
            (decision, limit, share)
            for decision, section in sorted((self.decision_shares or {}).items())
            for limit, share in (("at_most", section.at_most), ("at_least", section.at_least))
            if share is not None
        )

    @property
    def asks_for_new_admits(self) -> bool:
        """Whether it takes events that the ingest did not have before."""
        return any(limit is not None for limit in (self.multiplier, self.admit_ratio, self.min_admits))

    @property
    def least_offered(self) -> float:
        """The share of what is due that the generator has to send in time."""
        return LEAST_OFFERED if self.offered_load is None else self.offered_load
