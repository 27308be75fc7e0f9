"""Checks of the terms: that two runs are of one scope, profile, contract, phase or environment."""

import json

from burst.domain.basics import canonical
from burst.domain.closure import compared_runs, score_checks, score_files
from burst.domain.documents import models
from burst.domain.verdict import baselines, gates


def ask_same(
    word: score_files.Sameness,
    baseline: compared_runs.ComparedRun,
    candidate: compared_runs.ComparedRun,
    *,
    group: score_checks.Group = "terms",
) -> score_checks.Check:
    """Whether both runs are of one scope, profile and so on. Unequal is INVALID: the figures compare nothing."""
    name = f"same_{word}"
    before, after = (_read_term(word, run) for run in (baseline, candidate))
    if before is None or after is None:
        lacking = [run.run_id for run, term in ((baseline, before), (candidate, after)) if term is None]
        return score_checks.make_invalid(group, name, f"nobody can tell the {word} of {' and '.join(lacking)}")
    if before != after:
        why = f"another {word}: {_cut(before)} -> {_cut(after)}"
        return score_checks.Check(
            group=group, name=name, status=gates.GateStatus.INVALID, baseline=_cut(before), candidate=_cut(after),
            required="same", why=why,
        )  # fmt: skip
    return score_checks.Check(
        group=group, name=name, status=gates.GateStatus.PASS, baseline=_cut(before), candidate=_cut(after),
        required="same", why=f"one {word}",
    )  # fmt: skip


def ask_distinct(baseline: compared_runs.ComparedRun, candidate: compared_runs.ComparedRun) -> score_checks.Check:
    """Whether the candidate is another run than the baseline: no run improves on itself."""
    if baseline.sha256 == candidate.sha256:
        return score_checks.make_invalid("terms", "another_run", "the candidate is the baseline itself")
    if baseline.verdict is not None and baseline.run_id == candidate.run_id:
        return score_checks.make_invalid("terms", "another_run", f"both are snapshots of run {baseline.run_id}")
    why = "the candidate is another run"
    return score_checks.Check(group="terms", name="another_run", status=gates.GateStatus.PASS, why=why)


def _read_term(word: score_files.Sameness, run: compared_runs.ComparedRun) -> str | None:
    if run.verdict is None or run.plan is None:
        return None
    snapshot = run.verdict.snapshot
    terms: dict[str, models.Value] = {
        "scope": snapshot.platform_run_id,
        "contract": snapshot.contract.sha256 if snapshot.contract else None,
        "phase": snapshot.phase,
        "environment": run.plan.environment,
        "profile": json.dumps(canonical.decode(canonical.encode(baselines.describe_load(run.plan))), sort_keys=True),
    }
    term = terms[word]
    return None if term is None else str(term)


def _cut(text: str) -> str:
    return text if len(text) <= 300 else text[:299] + "…"
