"""Phase sections: what the snapshot of one kind of phase holds beside the sections that each kind has.

`SECTIONS` is the table: the names that consumers of a kind read, each with the function that fills it from a case and
the answers of its gates. A section that the documents tell nothing of is null. To add one, write its function, its line
in the table, and its field in `PhaseSections`.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Self

from burst.domain.documents import document_names, models, reproduction_vectors, window_metrics
from burst.domain.plan import catalogues
from burst.domain.receipts import gaps
from burst.domain.verdict import cases, gates, reproduction_gates, snapshot_sections

Answers = Sequence[gates.Gate]
Role = catalogues.Role


class DocumentRef(models.Model):
    """A document of the evidence by digest."""

    name: str
    """The file name of the document in the run's folder."""
    sha256: models.Digest
    """SHA-256 of the document's bytes."""

    @classmethod
    def from_case(cls, case: cases.Case, name: str) -> Self | None:
        """The reference to a document of a case; None where it is not there."""
        for ref in snapshot_sections.EvidenceRef.list_case(case):
            if ref.name == name:
                return cls(name=name, sha256=ref.sha256)
        return None


class WindowTarget(models.Model):
    """`window_target`: what a representative window has to hold. `min_plane_closure`: a plan asks for it by facts."""

    duration_minutes: float
    """The shortest window that can pass (`budget.min_window`), in minutes."""
    min_admitted_events: models.Count | None
    """The least ADMIT receipts that pass (`gates.min_admits`); None where the plan asks for none."""
    contiguous_event_time_required: bool
    """Whether the plan asks for a window without a gap (`gates.contiguity`)."""
    max_gap_seconds: float | None
    """The longest stretch without a receipt that passes (`gates.contiguity`); None where the plan sets none."""
    min_plane_closure: str | None = None
    """Always None: a plan asks for plane closure by facts."""


class ScaleGateChecks(snapshot_sections.Checks):
    """`scale_gate_checks`: volume, duration and contiguity, with the figures behind them."""

    admitted_events: models.Count | None
    """ADMIT receipts of the counted window; None where nothing was counted."""
    span_minutes: float | None
    """The length of the counted window in minutes; None where nothing was counted."""
    longest_gap_seconds: float | None
    """The longest stretch of buckets without a receipt, in seconds; None where the buckets do not tell."""


class SoakTarget(models.Model):
    """`soak_target`: how long the soak lasts, and what its lag has to keep; None where the plan does not ask."""

    duration_minutes: float
    """The shortest soak that can pass (`budget.min_window`), in minutes."""
    stability_window_minutes: float | None
    """How long before the end a rule of lag has to hold; None where no rule names a time."""
    max_lag_messages: float | None
    """The lowest limit that the plan sets on lag; None where it sets none."""
    sample_interval_minutes: float | None
    """How often each series is sampled (`observe.every`), in minutes; None where none is observed."""


class SoakWindow(models.Model):
    """`soak_execution_window`: when the soak ran, by which tasks, and why it ended."""

    start_utc: models.Instant | None
    """The first start of a task; None where it is not known."""
    end_utc: models.Instant | None
    """The last stop of a task; None where it is not known."""
    tasks: list[str]
    """The ids of the tasks, as the task result has them."""
    stop_reason: str | None
    """The word for why the soak ended, a detail behind a colon; None where the task result does not say it."""


class DrillTarget(models.Model):
    """`drill_target`: the duplicates that the drill injects; None where it expects none."""

    duplicate_event_count_target: models.Count | None
    """How many DUPLICATE receipts the drill injects (`gates.expect_duplicates`); None where it expects none."""


class PhaseSections(models.Model):
    """The fields of a snapshot that not each kind has; those of other kinds are left out of its bytes."""

    window_target: WindowTarget | None = None
    """What a representative window has to hold. Absent unless `kind` is `window`."""
    window_manifest_ref: DocumentRef | None = None
    """The metrics document, which holds the window's counts; None where it is missing. Absent unless `kind` is
    `window`."""
    scale_gate_checks: ScaleGateChecks | None = None
    """Volume, duration and contiguity of the window. Absent unless `kind` is `window`."""
    soak_target: SoakTarget | None = None
    """How long the soak lasts and what lag it allows. Absent unless `kind` is `soak`."""
    soak_execution_window: SoakWindow | None = None
    """When the soak ran and why it ended. Absent unless `kind` is `soak`."""
    observation_series_ref: DocumentRef | None = None
    """The document of the observed series; None where it is missing. Absent unless `kind` is `soak` or `recovery`."""
    restart_to_stable_seconds: float | None = None
    """The longest time from a fault to its recovery; None where one is not known. Absent unless `kind` is
    `recovery`."""
    rto_pass: bool | None = None
    """Whether every recovery kept its time; None where none was asked for. Absent unless `kind` is `recovery`."""
    replaced_task_count: models.Count | None = None
    """Tasks that the restarts replaced, all together, or where the plan restarts no service the fact of this name; None
    where one is not known. Absent unless `kind` is `recovery`."""
    pre_fault_baseline: window_metrics.CountsEntry | None = None
    """The receipts before the first fault; None where they were not counted apart. Absent unless `kind` is
    `recovery`."""
    window_minutes: float | None = None
    """The length of the counted window in minutes; None where nothing was counted. Absent unless `kind` is
    `recovery`."""
    max_lag_window: models.Value = None
    """What the fact or series `max_lag_window`, else `max_lag`, measured; None without one. Absent unless `kind` is
    `recovery`."""
    checkpoint_monotonic: bool | None = None
    """Whether no checkpoint series fell, or its facts pass; None where nothing was asked. Absent unless `kind` is
    `recovery`."""
    max_publish_ambiguous: models.Value = None
    """What the fact or series `max_publish_ambiguous`, else `publish_ambiguous`, measured; None without one. Absent
    unless `kind` is `recovery`."""
    max_fail_open: models.Value = None
    """What the fact or series `max_fail_open`, else `fail_open`, measured; None without one. Absent unless `kind` is
    `recovery`."""
    drill_target: DrillTarget | None = None
    """The duplicates that the drill injects. Absent unless `kind` is `drill`."""
    drill_outcome_checks: snapshot_sections.Checks | None = None
    """The gates and facts of the drill's outcome. Absent unless `kind` is `drill`."""
    baseline_refs: list[reproduction_vectors.RunRef] | None = None
    """The run that this one reproduces; none where its snapshot cannot be used. Absent unless `kind` is
    `reproducibility`."""
    candidate_refs: list[reproduction_vectors.RunRef] | None = None
    """This run, without the digest of a snapshot that is not yet made. Absent unless `kind` is `reproducibility`."""
    baseline_vector: reproduction_vectors.Vector | None = None
    """What the reference run shows. Absent unless `kind` is `reproducibility`."""
    candidate_vector: reproduction_vectors.Vector | None = None
    """What this run shows. Absent unless `kind` is `reproducibility`."""
    comparisons: reproduction_vectors.Comparisons | None = None
    """How the two vectors stand to each other. Absent unless `kind` is `reproducibility`."""


Fill = Callable[[cases.Case, Answers], Any]


def _fill_window_target(case: cases.Case, _: Answers) -> WindowTarget:
    section = case.plan.gates
    return WindowTarget(
        duration_minutes=case.plan.budget.min_window / 60,
        min_admitted_events=section.min_admits,
        contiguous_event_time_required=section.contiguity is not None,
        max_gap_seconds=section.contiguity.max_gap if section.contiguity else None,
    )


def _fill_manifest(case: cases.Case, _: Answers) -> DocumentRef | None:
    return DocumentRef.from_case(case, document_names.metrics_name(case.plan.slug))


def _fill_scale_checks(case: cases.Case, answers: Answers) -> ScaleGateChecks:
    checks = snapshot_sections.Checks.from_gates(case.plan, answers, Role.PROFILE, Role.CONTIGUITY)
    metrics = case.metrics.value
    return ScaleGateChecks(
        checks=checks.checks,
        pass_=checks.pass_,
        admitted_events=metrics.counts.admit if metrics else None,
        span_minutes=metrics.window.window.seconds / 60 if metrics else None,
        longest_gap_seconds=_measure_gap(metrics, case.plan.receipts.bucket) if metrics else None,
    )


def _measure_gap(metrics: window_metrics.Metrics, bucket_seconds: float) -> float | None:
    buckets = [bucket.bucket for bucket in metrics.buckets]
    if gaps.find_flaw(metrics.window.window, buckets, bucket_seconds):
        return None
    gap = gaps.find_longest_gap(buckets)
    return gap.seconds if gap else 0.0


def _fill_soak_target(case: cases.Case, answers: Answers) -> SoakTarget:
    lag_gates = [gate for gate in _list_answers(case, answers, Role.LAG) if gate.comparison is gates.Comparison.AT_MOST]
    limits = [float(gate.required) for gate in lag_gates if isinstance(gate.required, int | float)]
    observe = case.plan.observe
    return SoakTarget(
        duration_minutes=case.plan.budget.min_window / 60,
        stability_window_minutes=_find_stability_minutes(case),
        max_lag_messages=min(limits, default=None),
        sample_interval_minutes=observe.every / 60 if observe else None,
    )


def _find_stability_minutes(case: cases.Case) -> float | None:
    """The longest end of the soak in which a rule of lag has to hold; None where no rule names one."""
    blocker = case.plan.blocker(Role.LAG)
    rules = [rule for series in case.plan.observed_series for rule in series.rules if rule.blocker == blocker]
    seconds = [rule.rule.period.seconds for rule in rules]
    return max((each / 60 for each in seconds if each is not None), default=None)


def _fill_soak_window(case: cases.Case, _: Answers) -> SoakWindow:
    result = case.task_result.value
    window = result.window if result else None
    return SoakWindow(
        start_utc=window.start if window else None,
        end_utc=window.end if window else None,
        tasks=[task.id for task in result.tasks] if result else [],
        stop_reason=result.stop_reason if result else None,
    )


def _fill_series_ref(case: cases.Case, _: Answers) -> DocumentRef | None:
    return DocumentRef.from_case(case, document_names.observations_name(case.plan.slug))


def _fill_restart_seconds(case: cases.Case, answers: Answers) -> float | None:
    """The longest of the recoveries; None where one is not known."""
    measured = [gate.measured for gate in _list_answers(case, answers, Role.RTO)]
    seconds = [float(value) for value in measured if isinstance(value, int | float)]
    return max(seconds, default=None) if len(seconds) == len(measured) else None


def _fill_rto_pass(case: cases.Case, answers: Answers) -> bool | None:
    return _judge(case, answers, Role.RTO)


def _fill_replaced(case: cases.Case, answers: Answers) -> int | None:
    """The tasks that were replaced, over every restart; None where one of the numbers is not known."""
    result = case.task_result.value
    drills = [drill.replaced_task_count for drill in (result.drills if result else []) if drill.service is not None]
    numbers = [number for number in drills if number is not None]
    if drills:
        return sum(numbers) if len(numbers) == len(drills) else None
    stated = _find_figure(answers, "replaced_task_count")
    return stated if isinstance(stated, int) and not isinstance(stated, bool) else None


def _fill_pre_fault(case: cases.Case, _: Answers) -> window_metrics.CountsEntry | None:
    """The counts before the first fault; None where they were not counted apart."""
    metrics = case.metrics.value
    parts = metrics.drills[0].before if metrics is not None and metrics.drills else None
    return parts.counts if parts else None


def _fill_minutes(case: cases.Case, _: Answers) -> float | None:
    metrics = case.metrics.value
    return metrics.window.window.seconds / 60 if metrics else None


def _fill_figure(*names: str) -> Fill:
    """The measured value of the first fact, or observed series, of these names; None where there is none."""

    def fill(_: cases.Case, answers: Answers) -> models.Value:
        return _find_figure(answers, *names)

    return fill


def _find_figure(answers: Answers, *names: str) -> models.Value:
    """Of a series with several rules, that of the end of the window is the figure."""
    for name in names:
        series = f"{_OBSERVED}{name}."
        named = [gate for gate in answers if gate.name == name or gate.name.startswith(series)]
        named.sort(key=lambda gate: ".last-" not in gate.name)
        if named:
            return named[0].measured
    return None


_OBSERVED = gates.OBSERVED


def _fill_monotonic(case: cases.Case, answers: Answers) -> bool | None:
    """Whether every series that may not fall rose; where there is none, by the facts of a checkpoint."""
    rising = [gate for gate in answers if gate.name.startswith(_OBSERVED) and ".monotonic" in gate.name]
    return all(gate.passed for gate in rising) if rising else _judge(case, answers, Role.CHECKPOINT)


def _fill_drill_target(case: cases.Case, _: Answers) -> DrillTarget:
    return DrillTarget(duplicate_event_count_target=case.plan.gates.expect_duplicates)


def _fill_drill_checks(case: cases.Case, answers: Answers) -> snapshot_sections.Checks:
    return snapshot_sections.Checks.from_gates(case.plan, answers, Role.OUTCOME)


def _fill_baseline_refs(case: cases.Case, _: Answers) -> list[reproduction_vectors.RunRef]:
    reference, _own = reproduction_gates.refer_runs(case)
    return [reference] if reference is not None else []


def _fill_candidate_refs(case: cases.Case, _: Answers) -> list[reproduction_vectors.RunRef]:
    _reference, own = reproduction_gates.refer_runs(case)
    return [own]


def _fill_baseline_vector(case: cases.Case, answers: Answers) -> reproduction_vectors.Vector:
    return reproduction_gates.make_vectors(case, answers)[0]


def _fill_candidate_vector(case: cases.Case, answers: Answers) -> reproduction_vectors.Vector:
    return reproduction_gates.make_vectors(case, answers)[1]


def _fill_comparisons(case: cases.Case, answers: Answers) -> reproduction_vectors.Comparisons:
    return reproduction_gates.compare_vectors(case, answers)


def _judge(case: cases.Case, answers: Answers, role: Role) -> bool | None:
    """Whether every question of a role is answered as it should be; None where none was asked."""
    role_answers = _list_answers(case, answers, role)
    return all(gate.passed for gate in role_answers) if role_answers else None


def _list_answers(case: cases.Case, answers: Answers, role: Role) -> list[gates.Gate]:
    """The answers of a role: its own gates, and the facts of the blocker that the role has of its own."""
    shorts = case.plan.catalogue.list_shorts(role)
    return [
        gate
        for gate in answers
        if gate.blocker is role or (not isinstance(gate.blocker, Role) and gate.blocker in shorts)
    ]


SECTIONS: Mapping[catalogues.Kind, Mapping[str, Fill]] = {
    catalogues.Kind.WINDOW: {
        "window_target": _fill_window_target,
        "window_manifest_ref": _fill_manifest,
        "scale_gate_checks": _fill_scale_checks,
    },
    catalogues.Kind.SOAK: {
        "soak_target": _fill_soak_target,
        "soak_execution_window": _fill_soak_window,
        "observation_series_ref": _fill_series_ref,
    },
    catalogues.Kind.RECOVERY: {
        "restart_to_stable_seconds": _fill_restart_seconds,
        "rto_pass": _fill_rto_pass,
        "replaced_task_count": _fill_replaced,
        "pre_fault_baseline": _fill_pre_fault,
        "window_minutes": _fill_minutes,
        "max_lag_window": _fill_figure("max_lag_window", "max_lag"),
        "checkpoint_monotonic": _fill_monotonic,
        "max_publish_ambiguous": _fill_figure("max_publish_ambiguous", "publish_ambiguous"),
        "max_fail_open": _fill_figure("max_fail_open", "fail_open"),
        "observation_series_ref": _fill_series_ref,
    },
    catalogues.Kind.DRILL: {
        "drill_target": _fill_drill_target,
        "drill_outcome_checks": _fill_drill_checks,
    },
    catalogues.Kind.REPRODUCIBILITY: {
        "baseline_refs": _fill_baseline_refs,
        "candidate_refs": _fill_candidate_refs,
        "baseline_vector": _fill_baseline_vector,
        "candidate_vector": _fill_candidate_vector,
        "comparisons": _fill_comparisons,
    },
}
"""The sections of each kind, by name; a kind that is absent has none of its own."""


def fill_sections(case: cases.Case, answers: Answers) -> dict[str, Any]:
    """The sections of the case's kind, by name."""
    return {name: fill(case, answers) for name, fill in SECTIONS.get(case.plan.kind, {}).items()}


def list_foreign(kind: catalogues.Kind) -> frozenset[str]:
    """The names of the sections that a snapshot of this kind does not have."""
    return frozenset(PhaseSections.model_fields) - frozenset(SECTIONS.get(kind, {}))
