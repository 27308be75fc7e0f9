"""Closures: the score of candidates against the active baseline, as a pure function from evidence to bytes.

A candidate is valid where every check of the score file passes. One that cannot be asked is INVALID and holds. The best
valid candidate unlocks what the file names; without one the phase stays open. Same evidence and score file, same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Annotated, Any, Literal

import pydantic

import burst
from burst.domain.basics import wording
from burst.domain.closure import (
    compared_runs,
    exact_numbers,
    pairs,
    rails,
    reproductions,
    score_checks,
    score_files,
    score_measures,
    terms_checks,
    unsound_candidates,
)
from burst.domain.documents import document_names, models, reproduction_vectors
from burst.domain.verdict import gates, snapshot_sections

SCHEMA: Literal["burst.closure/v1"] = "burst.closure/v1"
VERIFIER = {"name": "burst", "version": burst.__version__}


class ScoreRef(models.Model):
    """The score file, by the digest of its bytes."""

    name: str
    """The copy of the score file that stands beside the closure."""
    sha256: models.Digest
    """SHA-256 of the score file's bytes."""


class ComparedRef(models.Model):
    """A compared run: by the digest of its snapshot, which names every other document; or one file by its own."""

    run_id: str
    """The execution id; of a file, how the operator named it."""
    document_name: str
    """The file name of its snapshot, or of the file."""
    sha256: models.Digest
    """SHA-256 of the snapshot's bytes, or of the file's."""
    phase: str | None
    """The phase of the run; None of a file."""
    platform_run_id: str | None
    """The scope of the run; None of a file."""
    contract_sha256: models.Digest | None
    """The digest of the terms of its verdict; None of a file, or where its snapshot states none."""
    overall_pass: bool | None
    """Whether its snapshot is a PASS; None of a file."""


class BaselineRef(ComparedRef):
    """The active baseline. `source`: how the operator named it."""

    source: str
    """How the operator named it: a path, or an S3 address."""


class CandidateRef(ComparedRef):
    """A candidate. `run_root`: how the operator named it."""

    run_root: str
    """How the operator named it: a path, or an S3 address."""


class ActiveRef(models.Model):
    """The record by which the baseline is the active one; its chain leads back to the first."""

    number: models.Count
    """The number of the record in its chain, from 0."""
    sha256: models.Digest
    """SHA-256 of the record's bytes."""
    score: ScoreRef
    """The score that it was reached by, whose checks a later one keeps."""


class CountAnchors(models.Model):
    """The counters that the veto rails hold: those of `same` in one section, those of `not_worse` in the other."""

    keys: list[str]
    """Every counter that one of the two runs has, sorted."""
    baseline_counts: dict[str, int | float]
    """The counters of the baseline; one that it does not have is absent."""
    candidate_counts: dict[str, int | float]
    """The counters of the candidate; one that it does not have is absent."""


class RuntimeEntry(models.Model):
    """One measure in seconds."""

    baseline_s: float
    """The figure of the baseline, in seconds."""
    candidate_s: float
    """The figure of the candidate, in seconds."""
    improvement_fraction: float
    """The part of the baseline's figure that was gained; negative where it got worse."""


class RuntimeGates(models.Model):
    """`gates`: the rule of the measures, in words, and whether all of them pass."""

    runtime_gate_rule: str
    """Each measure of the score file with its bound, in words."""
    runtime_gate_pass: bool
    """Whether every check of a measure or of the pair passes."""


class ClosureDecision(models.Model):
    """`decision`: the word of the score file, and why."""

    all_veto_clear: bool
    """Whether every check passes that asks for no gain."""
    all_runtime_clear: bool
    """Whether every check of a measure or of the pair passes."""
    result: str
    """The word of the score file for it: that of an unlock or of a hold."""
    unlocked: bool
    """Whether every check passes, and one was asked at least."""
    reason: models.Words
    """Which checks do not pass, or how many do."""


class CandidateScore(models.Model):
    """One candidate with everything it was judged by."""

    candidate: CandidateRef
    """The run or file that was scored."""
    count_anchors: CountAnchors
    """The counters that a veto requires to be the same, in both runs."""
    warning_anchors: CountAnchors
    """The counters that a veto requires not to get worse, in both runs."""
    runtime: dict[str, RuntimeEntry]
    """Each measure in seconds by its name; one that could not be read in both runs is absent."""
    veto: dict[str, bool]
    """Each veto by its name, and whether it passes."""
    gates: RuntimeGates
    """The rule of the measures, and whether all pass."""
    checks: list[score_checks.ScoreCheckEntry]
    """Every question that was asked of the candidate, with its answer."""
    failures: list[str]
    """The checks that do not pass, in words."""
    baseline_vector: reproduction_vectors.Vector | None
    """What the baseline shows; None where the score file asks for no reproduction."""
    candidate_vector: reproduction_vectors.Vector | None
    """What the candidate shows; None where the score file asks for no reproduction."""
    comparisons: reproduction_vectors.Comparisons | None
    """How the two vectors stand to each other; None where the score file asks for no reproduction."""
    decision: ClosureDecision
    """Whether this candidate unlocks, and why."""


class Closure(CandidateScore):
    """`{name}_closure.json`: the score. The sections of one candidate are those of the best one."""

    schema_: Annotated[Literal["burst.closure/v1"], pydantic.Field(alias="schema")] = SCHEMA
    name: str
    """The name of the score, as its file gives it."""
    score: ScoreRef
    """The score file that was scored by."""
    baseline: BaselineRef
    """The run or file that every candidate was held against."""
    active_baseline: ActiveRef | None
    """The record by which that baseline is the active one; None where there is no chain."""
    best: str | None
    """The run id of the best valid candidate; None where none is valid."""
    candidates: list[CandidateScore]
    """Every candidate that was scored, in the order in which they were named."""
    unsound: list[unsound_candidates.UnsoundCandidate]
    """The candidates that were named and not scored, because their evidence does not hold."""
    baseline_refs: list[reproduction_vectors.RunRef]
    """The baseline by the digest of its snapshot."""
    candidate_refs: list[reproduction_vectors.RunRef]
    """Every scored candidate by the digest of its snapshot."""
    verifier: snapshot_sections.Verifier
    """The program and the version that scored."""

    @property
    def unlocked(self) -> bool:
        """Whether the phase is closed, and the baseline moves to the best candidate."""
        return self.decision.unlocked

    @property
    def exit_code(self) -> int:
        """0 where it unlocks, 3 where it holds."""
        return 0 if self.unlocked else 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Scoring:
    """What a closure is made of."""

    file: score_files.ScoreFile
    sha256: str
    """The digest of the score file."""
    baseline: compared_runs.ComparedRun
    candidates: tuple[compared_runs.ComparedRun, ...]
    unsound: tuple[unsound_candidates.UnsoundCandidate, ...] = ()
    active: ActiveRef | None = None
    active_score: score_files.ScoreFile | None = None
    """The score that the active baseline was reached by."""

    @property
    def weaker(self) -> tuple[str, ...]:
        """The checks that the score drops or loosens against the active one."""
        return list_weaker(self.active_score, self.file) if self.active_score is not None else ()


def score(scoring: Scoring) -> Closure:
    """The closure of a scoring, which has one candidate at least."""
    scored = [_score_candidate(scoring, candidate) for candidate in scoring.candidates]
    best, gain = None, None
    for entry in scored:
        gained = _find_gain(entry)
        if entry.decision.unlocked and (gain is None or gained > gain):
            best, gain = entry, gained
    leading = best or max(scored, key=_find_gain)
    return Closure(
        **{name: getattr(leading, name) for name in CandidateScore.model_fields},
        name=scoring.file.name,
        score=ScoreRef(name=name_score(scoring.file.name, scoring.sha256), sha256=scoring.sha256),
        baseline=BaselineRef(**_describe_run(scoring.baseline), source=scoring.baseline.source),
        active_baseline=scoring.active,
        best=best.candidate.run_id if best else None,
        candidates=scored,
        unsound=list(scoring.unsound),
        baseline_refs=[_refer(scoring.baseline)],
        candidate_refs=[_refer(candidate) for candidate in scoring.candidates],
        verifier=dict(VERIFIER),
    )


def _find_gain(entry: CandidateScore) -> Fraction:
    """The improvement that candidates are ranked by: that of the first measure, or of the pair."""
    gains = (check.improvement_fraction for check in entry.checks if check.improvement_fraction is not None)
    gain = next(gains, None)
    return Fraction(-(10**12)) if gain is None else exact_numbers.read_exact(gain)


def _score_candidate(scoring: Scoring, candidate: compared_runs.ComparedRun) -> CandidateScore:
    file, baseline = scoring.file, scoring.baseline
    answers = [terms_checks.ask_distinct(baseline, candidate)]
    answers += [terms_checks.ask_same(word, baseline, candidate) for word in file.require_same]
    answers += _ask_score_terms(scoring)
    answers += [score_measures.ask_measure(measure, baseline, candidate) for measure in file.measures]
    answers += [rails.ask_rail(rail, baseline, candidate) for rail in file.vetoes]
    answers += list(pairs.ask_pair(file.pair, baseline, candidate)) if file.pair else []
    section = file.reproducibility
    reproduced = reproductions.compare(section, baseline, candidate) if section else None
    answers += list(reproduced.answers) if reproduced else []
    return CandidateScore(
        candidate=CandidateRef(**_describe_run(candidate), run_root=candidate.source),
        count_anchors=_gather_anchors(file, "same", baseline, candidate),
        warning_anchors=_gather_anchors(file, "not_worse", baseline, candidate),
        runtime=_list_runtime(answers),
        veto={check.name: check.passed for check in answers if check.group == "veto"},
        gates=RuntimeGates(
            runtime_gate_rule="; ".join(
                f"{entry.name} {score_measures.describe_rule(entry)}" for entry in file.measures
            ),
            runtime_gate_pass=all(check.passed for check in answers if check.group in _RUNTIME),
        ),
        checks=[score_checks.ScoreCheckEntry.from_check(check) for check in answers],
        failures=[f"{check.name} {check.status.value}: {check.why}" for check in answers if not check.passed],
        baseline_vector=reproduced.baseline if reproduced else None,
        candidate_vector=reproduced.candidate if reproduced else None,
        comparisons=reproduced.comparisons if reproduced else None,
        decision=_decide(file.decision, answers),
    )


_RUNTIME = ("measure", "pair")
"""The groups of checks that ask for a gain; every other one is a veto."""


def _ask_score_terms(scoring: Scoring) -> list[score_checks.Check]:
    """Asked where there is an active baseline: its score asked for no more than this one, but for what is named."""
    if scoring.active is None:
        return []
    named = {entry.check for entry in scoring.file.weakened}
    unnamed = [name for name in scoring.weaker if name not in named]
    idle = sorted(named.difference(scoring.weaker))
    parts = [f"drops or loosens {', '.join(unnamed)}"] if unnamed else []
    parts += [f"weakened names what is not so: {', '.join(idle)}"] if idle else []
    if parts:
        why = f"the score {'; '.join(parts)}: name each in weakened, with its why"
        return [score_checks.make_invalid("terms", "same_score", why)]
    why = f"judged by a weaker score: {', '.join(scoring.weaker)}" if scoring.weaker else "no check was dropped"
    return [score_checks.Check(group="terms", name="same_score", status=gates.GateStatus.PASS, why=why)]


def _decide(words: score_files.DecisionSection, answers: Sequence[score_checks.Check]) -> ClosureDecision:
    vetoes = [check for check in answers if check.group not in _RUNTIME]
    gains = [check for check in answers if check.group in _RUNTIME]
    clear, gained = all(check.passed for check in vetoes), all(check.passed for check in gains)
    failing = [check.name for check in answers if not check.passed]
    unlocked = bool(answers) and clear and gained
    failures = f"{wording.format_count(len(failing), 'check')} not passed: {', '.join(failing)}"
    reason = f"all {wording.format_count(len(answers), 'check')} pass" if unlocked else failures
    return ClosureDecision(
        all_veto_clear=clear,
        all_runtime_clear=gained,
        result=words.unlock if unlocked else words.hold,
        unlocked=unlocked,
        reason=reason,
    )


def _list_runtime(answers: Sequence[score_checks.Check]) -> dict[str, RuntimeEntry]:
    return {
        check.name: RuntimeEntry(
            baseline_s=float(check.baseline), candidate_s=float(check.candidate), improvement_fraction=check.improvement
        )
        for check in answers
        if check.group == "measure"
        and check.unit == "s"
        and check.improvement is not None
        and isinstance(check.baseline, int | float)
        and isinstance(check.candidate, int | float)
    }


def _gather_anchors(
    file: score_files.ScoreFile,
    rail: str,
    baseline: compared_runs.ComparedRun,
    candidate: compared_runs.ComparedRun,
) -> CountAnchors:
    """The numbers that the rails of one kind compare: a number by the rail's name, those of an object by theirs too."""
    before: dict[str, int | float] = {}
    after: dict[str, int | float] = {}
    for entry in file.vetoes:
        if entry.rail == rail and entry.of == "value":
            before |= _list_numbers(entry.name, compared_runs.read_figure(baseline, entry))
            after |= _list_numbers(entry.name, compared_runs.read_figure(candidate, entry))
    return CountAnchors(keys=sorted(before.keys() | after.keys()), baseline_counts=before, candidate_counts=after)


def _list_numbers(name: str, reading: compared_runs.Reading) -> dict[str, int | float]:
    if not reading.known:
        return {}
    if compared_runs.is_number(reading.value):
        return {name: reading.value}
    if not isinstance(reading.value, dict):
        return {}
    return {f"{name}.{key}": value for key, value in reading.value.items() if compared_runs.is_number(value)}


def _describe_run(run: compared_runs.ComparedRun) -> dict[str, Any]:
    snapshot = run.verdict.snapshot if run.verdict else None
    return {
        "run_id": run.run_id,
        "document_name": run.name,
        "sha256": run.sha256,
        "phase": snapshot.phase if snapshot else None,
        "platform_run_id": snapshot.platform_run_id if snapshot else None,
        "contract_sha256": snapshot.contract.sha256 if snapshot and snapshot.contract else None,
        "overall_pass": snapshot.overall_pass if snapshot else None,
    }


def _refer(run: compared_runs.ComparedRun) -> reproduction_vectors.RunRef:
    snapshot = run.verdict.snapshot if run.verdict else None
    return reproduction_vectors.RunRef(
        execution_id=snapshot.execution_id if snapshot else None,
        platform_run_id=snapshot.platform_run_id if snapshot else None,
        snapshot_sha256=run.sha256 if snapshot else None,
    )


def list_weaker(before: score_files.ScoreFile, after: score_files.ScoreFile) -> tuple[str, ...]:
    """The checks of an earlier score that a later one drops, loosens or asks otherwise; more and stricter ones are
    none."""
    return tuple(sorted(set(_list_weaker(before, after))))


def _list_weaker(before: score_files.ScoreFile, after: score_files.ScoreFile) -> list[str]:
    weaker = [f"require_same_{word}" for word in before.require_same if word not in after.require_same]
    measured = {entry.name: entry for entry in after.measures}
    for measure in before.measures:
        later = measured.get(measure.name)
        if later is None or not _is_as_strict(measure, later):
            weaker.append(measure.name)
    railed = {entry.name: entry for entry in after.vetoes}
    weaker += [entry.name for entry in before.vetoes if railed.get(entry.name) != entry]
    weaker += ["pair"] if before.pair is not None and after.pair != before.pair else []
    section = before.reproducibility
    return weaker + (["reproducibility"] if section is not None and after.reproducibility != section else [])


_BOUNDS = ("at_most", "reduced_by", "at_least", "raised_by")


def _is_as_strict(before: score_files.MeasureSection, after: score_files.MeasureSection) -> bool:
    """Whether a measure reads the same figure, and no bound that is enough is easier to reach."""
    if before.model_copy(update=dict.fromkeys(_BOUNDS)) != after.model_copy(update=dict.fromkeys(_BOUNDS)):
        return False
    for name in _BOUNDS:
        was, now = getattr(before, name), getattr(after, name)
        easier = now is not None and (was is None or (now > was if name == "at_most" else now < was))
        if easier:
            return False
    return True


def read(content: bytes) -> Closure:
    """A closure from its canonical bytes.

    Raises `errors.EvidenceCorrupt`, or `errors.EvidenceUnknown` for another schema.
    """
    return models.read(Closure, content)


def name_closure(name: str) -> str:
    """The document of a closure."""
    return f"{name}{document_names.CLOSURE_SUFFIX}"


def name_signature(name: str) -> str:
    """The signature over a closure and its score files."""
    return f"{name}_closure.dsse.json"


def name_score(name: str, sha256: str) -> str:
    """The copy of a score file that stands beside its closure."""
    return f"{name}_score_{sha256[:12]}.yaml"
