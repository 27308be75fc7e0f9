"""Store policies: how the evidence of an environment has to be kept.

Where people practise, a folder and the sandbox will do. Where others rely on a verdict, its evidence has to outlive the
machine (S3), nobody may be able to change it (Object Lock), and it has to say who made it (a signature). An environment
that is not known here is refused.
"""

from dataclasses import dataclass
from typing import Literal

from burst.domain.documents import preflight_results
from burst.domain.plan import plans
from burst.domain.preflight import findings

FREE_ENVIRONMENTS = ("local", "dev", "ci")
"""Any store will do."""
STRICT_ENVIRONMENTS = ("staging", "pilot", "prod")
"""S3 places, Object Lock and a signature are demanded."""
FOLDER, S3, OBJECT_LOCK, SIGNED = "folder", "s3", "object-lock", "signed"
CHECK = "store-policy"


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreMode:
    """How the documents of a run are kept."""

    run_control_on_s3: bool
    run_scoped_on_s3: bool
    object_lock: bool
    signed: bool

    @classmethod
    def from_plan(cls, plan: plans.Plan) -> "StoreMode":
        """The mode of a plan's `evidence`. On this machine no document goes to S3, whatever places are named."""
        evidence, publishes = plan.evidence, plan.target.kind != "local"
        return cls(
            run_control_on_s3=publishes and bool(evidence.control_places),
            run_scoped_on_s3=publishes and bool(evidence.scoped_places),
            object_lock=evidence.object_lock is not None,
            signed=evidence.sign is not None,
        )

    @property
    def text(self) -> str:
        """The mode in short, such as `s3+object-lock+signed`."""
        parts = [S3 if self.run_control_on_s3 and self.run_scoped_on_s3 else FOLDER]
        parts += [OBJECT_LOCK] if self.object_lock else []
        return "+".join([*parts, *([SIGNED] if self.signed else [])])

    @property
    def lacking(self) -> tuple[str, ...]:
        """What a strict environment demands beyond it, as keys of a plan."""
        demands = {
            "evidence.run_control on S3": self.run_control_on_s3,
            "evidence.run_scoped on S3": self.run_scoped_on_s3,
            "evidence.object_lock": self.object_lock,
            "evidence.sign": self.signed,
        }
        return tuple(name for name, is_met in demands.items() if not is_met)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreJudgement:
    """Whether an environment allows a store mode, and why."""

    environment: str
    store_mode: str
    decision: Literal["allowed", "refused"]
    reason: str

    @property
    def refused(self) -> bool:
        """Whether nothing may be launched."""
        return self.decision != "allowed"

    @property
    def entry(self) -> preflight_results.StorePolicyEntry:
        """The judgement as the preflight document keeps it."""
        return preflight_results.StorePolicyEntry(
            environment=self.environment, store_mode=self.store_mode, decision=self.decision, reason=self.reason
        )


def judge_store(environment: str, mode: StoreMode) -> StoreJudgement:
    """Whether an environment allows a store mode."""
    if environment in FREE_ENVIRONMENTS:
        return _answer(environment, mode, "allowed", f"{environment} allows folders and the sandbox")
    if environment not in STRICT_ENVIRONMENTS:
        environments = ", ".join((*FREE_ENVIRONMENTS, *STRICT_ENVIRONMENTS))
        return _answer(
            environment, mode, "refused", f"environment {environment!r} is not known; allowed: {environments}"
        )
    if mode.lacking:
        words = f"{environment} demands S3 places, Object Lock and a signature; missing: {', '.join(mode.lacking)}"
        return _answer(environment, mode, "refused", words)
    return _answer(environment, mode, "allowed", f"{environment} demands S3 places, Object Lock and a signature")


def _answer(environment: str, mode: StoreMode, decision: Literal["allowed", "refused"], reason: str) -> StoreJudgement:
    return StoreJudgement(environment=environment, store_mode=mode.text, decision=decision, reason=reason)


def judge_plan(plan: plans.Plan) -> StoreJudgement:
    """Whether the environment of a plan allows how its evidence is kept."""
    return judge_store(plan.environment, StoreMode.from_plan(plan))


def to_finding(judgement: StoreJudgement) -> findings.Finding:
    """The finding of preflight; its details are the entry of the preflight document."""
    details = judgement.entry.document()
    if judgement.refused:
        return findings.report_refusal(CHECK, judgement.reason, **details)
    return findings.report_pass(CHECK, f"{judgement.store_mode}: {judgement.reason}", **details)
