"""Reproducibility: whether a second run has the keys, the shares of decisions and the semantics of the first."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import pydantic

from burst.domain.closure import compared_runs, exact_numbers, score_checks, score_files, terms_checks
from burst.domain.documents import models, reproduction_vectors, window_metrics

GROUP: score_checks.Group = "reproducibility"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoredReproduction:
    """Both vectors, their comparison, and the answers behind it."""

    baseline: reproduction_vectors.Vector
    candidate: reproduction_vectors.Vector
    comparisons: reproduction_vectors.Comparisons
    answers: tuple[score_checks.Check, ...]


def compare(
    section: score_files.ReproducibilitySection,
    baseline: compared_runs.ComparedRun,
    candidate: compared_runs.ComparedRun,
) -> ScoredReproduction:
    """The comparison of a candidate with the run that it reproduces."""
    before, after = (_make_vector(section, run) for run in (baseline, candidate))
    same = [terms_checks.ask_same(word, baseline, candidate, group=GROUP) for word in ("profile", "contract")]
    keyset = _ask_keyset(section, before, after, baseline, candidate)
    shares = [_ask_share(section, name, before, after) for name in ("DUPLICATE", "QUARANTINE")]
    invariants = [_ask_invariant(entry, baseline, candidate) for entry in section.invariants]
    lags = list(_ask_lags(section, baseline, candidate))
    deltas = [reproduction_vectors.find_share_delta(name, before, after) for name in ("DUPLICATE", "QUARANTINE")]
    comparisons = reproduction_vectors.Comparisons(
        anchor_keyset_match=reproduction_vectors.compare_keysets(before, after),
        duplicate_share_delta=None if deltas[0] is None else float(deltas[0]),
        quarantine_share_delta=None if deltas[1] is None else float(deltas[1]),
        semantic_invariant_pass=all(check.passed for check in invariants) if invariants else None,
        lag_pass=all(check.passed for check in lags) if lags else None,
        profile_match=same[0].passed,
        contract_match=same[1].passed,
        missing_required_surfaces=reproduction_vectors.find_missing(before, after),
    )
    answers = (*same, keyset, *shares, *invariants, *lags)
    return ScoredReproduction(baseline=before, candidate=after, comparisons=comparisons, answers=answers)


def _make_vector(
    section: score_files.ReproducibilitySection, run: compared_runs.ComparedRun
) -> reproduction_vectors.Vector:
    keys = compared_runs.read_keys(run, section.keyset)
    lag = compared_runs.read_number(run, section.lag) if section.lag else None
    flags = {entry.name: compared_runs.read_figure(run, entry) for entry in section.invariants}
    return reproduction_vectors.make_vector(
        counts=_read_counts(section, run),
        keyset=sorted(keys.value) if keys.known else None,
        lag=float(lag.value) if lag is not None and lag.known else None,
        flags={name: _keep_scalar(reading.value) for name, reading in flags.items()},
    )


def _keep_scalar(value: Any) -> models.Value:
    return value if isinstance(value, bool | int | float | str) else None


def _read_counts(
    section: score_files.ReproducibilitySection, run: compared_runs.ComparedRun
) -> window_metrics.CountsEntry | None:
    place = section.counts or score_files.FigureSection(document=None, path="/burst_load_checks/counts")
    reading = compared_runs.read_figure(run, place)
    if not reading.known or not isinstance(reading.value, dict):
        return None
    try:
        return window_metrics.CountsEntry.model_validate({"other": 0, **reading.value})
    except pydantic.ValidationError:
        return None


def _ask_keyset(
    section: score_files.ReproducibilitySection,
    before: reproduction_vectors.Vector,
    after: reproduction_vectors.Vector,
    baseline: compared_runs.ComparedRun,
    candidate: compared_runs.ComparedRun,
) -> score_checks.Check:
    name, required = "anchor_keyset_match", "equal sets"
    match = reproduction_vectors.compare_keysets(before, after)
    if match is None:
        problems = [compared_runs.read_keys(run, section.keyset).problem for run in (baseline, candidate)]
        why = "; ".join(filter(None, problems)) or "a run has no key at all"
        return score_checks.make_invalid(GROUP, name, why, required=required)
    was, now = frozenset(before.anchor_keyset or ()), frozenset(after.anchor_keyset or ())
    parts = [f"{len(now)} = {len(was)} keys" if match else f"{len(was)} -> {len(now)} keys"]
    parts += [
        f"{word}: {score_checks.list_keys(keys)}" for word, keys in (("gone", was - now), ("new", now - was)) if keys
    ]
    return score_checks.Check(
        group=GROUP,
        name=name,
        status=score_checks.choose_status(match),
        baseline=len(was),
        candidate=len(now),
        required=required,
        why="; ".join(parts),
    )


def _ask_share(
    section: score_files.ReproducibilitySection,
    word: str,
    before: reproduction_vectors.Vector,
    after: reproduction_vectors.Vector,
) -> score_checks.Check:
    name = f"{word.lower()}_share_delta"
    delta = reproduction_vectors.find_share_delta(word, before, after)
    if delta is None:
        why = "a run has no counts of its receipts"
        return score_checks.make_invalid(GROUP, name, why, required=section.shares_within)
    shares = [(vector.decision_shares or {}).get(word) for vector in (before, after)]
    return score_checks.Check(
        group=GROUP,
        name=name,
        status=score_checks.choose_status(delta <= exact_numbers.read_exact(section.shares_within)),
        baseline=shares[0],
        candidate=shares[1],
        required=section.shares_within,
        why=f"the shares of {word} are {float(delta):.8f} apart",
    )


def _ask_invariant(
    entry: score_files.InvariantSection,
    baseline: compared_runs.ComparedRun,
    candidate: compared_runs.ComparedRun,
) -> score_checks.Check:
    before, after = (compared_runs.read_figure(run, entry) for run in (baseline, candidate))
    if not before.known or not after.known:
        return score_checks.make_invalid(GROUP, entry.name, before.problem, after.problem, required=entry.equals)
    values = [_keep_scalar(reading.value) for reading in (before, after)]
    held = all(compared_runs.equal_scalars(value, entry.equals) for value in values)
    return score_checks.Check(
        group=GROUP,
        name=entry.name,
        status=score_checks.choose_status(held),
        baseline=values[0],
        candidate=values[1],
        required=entry.equals,
        why=f"{values[0]} -> {values[1]}, expected {entry.equals} in both",
    )


def _ask_lags(
    section: score_files.ReproducibilitySection,
    baseline: compared_runs.ComparedRun,
    candidate: compared_runs.ComparedRun,
) -> Iterator[score_checks.Check]:
    """The lag of each run by itself: a lag of nobody is no lag of 0."""
    if section.lag is None:
        return
    runs: Sequence[tuple[str, compared_runs.ComparedRun]] = (("lag_baseline", baseline), ("lag", candidate))
    for name, run in runs:
        reading = compared_runs.read_number(run, section.lag)
        if not reading.known or reading.value < 0:
            problem = reading.problem or f"{run.run_id}: a lag of {reading.value}"
            yield score_checks.make_invalid(GROUP, name, problem, required=section.lag.at_most)
            continue
        is_baseline = run is baseline
        yield score_checks.Check(
            group=GROUP,
            name=name,
            status=score_checks.choose_status(reading.value <= section.lag.at_most),
            baseline=reading.value if is_baseline else None,
            candidate=None if is_baseline else reading.value,
            required=section.lag.at_most,
            why=f"{reading.value}, at most {section.lag.at_most}",
        )
