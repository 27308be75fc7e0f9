"""Reproducing: the documents of a passed run that another one repeats, for the tests of kind reproducibility."""

from dataclasses import dataclass
from typing import Any

from burst.domain.basics import canonical
from tests import cases

FIRST_ID = "m10_20260220T020923Z_first"
QUESTIONS: dict[str, cases.Value] = {
    "publish_ambiguous": {"sql": "select 0", "equals": 0},
    "max_lag": {"sql": "select 4", "at_most": 10},
    "empty_buckets": {"sql": "select 0", "equals": 0},
    "asked": {"sql": "select 0", "equals": 0},
}
ANSWERS = {"publish_ambiguous": 0, "max_lag": 3, "empty_buckets": 0, "asked": 0}
USUAL = {"B2": "empty_buckets", "B3": "max_lag", "B6": "publish_ambiguous"}


@dataclass(frozen=True, slots=True, kw_only=True)
class First:
    """Snapshot and plan of the run that is repeated."""

    snapshot: bytes
    plan: bytes

    @property
    def sha256(self) -> str:
        """The digest of the snapshot."""
        return canonical.digest(self.snapshot)

    def documents(self, **keysets: Any) -> dict[str, Any]:
        """What a run that repeats it begins with, and the key sets of both."""
        return {
            "reference": self.snapshot,
            "reference_plan": self.plan,
            "reproduction": cases.reproduction(self.snapshot, **keysets),
        }


def make_first(counts: cases.Value, asked: dict[str, str] | None = None, **plan_changes: Any) -> First:
    """A passed window with these counts, whose facts stand behind blockers by short id."""
    named = USUAL if asked is None else asked
    questions = [{"blocker": f"M10E-{short}", "name": name, **QUESTIONS[name]} for short, name in named.items()]
    plan = cases.plan(
        **{
            "kind": "window", "phase": "M10.E", "scope": cases.REFERENCE_SCOPE, "execution_id": FIRST_ID, "gates": {},
            "facts": questions, "baseline": None, **plan_changes,
        }
    )  # fmt: skip
    run = {"execution_id": FIRST_ID, "platform_run_id": cases.REFERENCE_SCOPE}
    answers = cases.facts(
        [
            {key: part for key, part in {**question, "value": ANSWERS[question["name"]]}.items() if key != "sql"}
            for question in questions
        ]
    )
    names = {
        "m10_e_task_result.json": cases.task_result(**run),
        "m10_e_facts.json": {**answers, **run},
        "m10_e_preflight.json": cases.preflight(**run),
        "m10_e_receipts_window_metrics.json": cases.metrics(
            **run, counts=counts, buckets=[{**cases.window(), "counts": counts}]
        ),
    }
    contents = {name: cases.content(value) for name, value in names.items()}
    verdict = cases.Case(plan=plan, contents=contents).verdict()
    assert verdict.snapshot.overall_pass, [entry.why for entry in verdict.snapshot.open_entries]
    return First(snapshot=verdict.content, plan=canonical.encode(plan.document()))
