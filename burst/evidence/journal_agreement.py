"""Whether the task result, the records of the guards and the samples say what the journal of the run says, and what
one another say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from burst.domain.basics import canonical, errors, instants, wording
from burst.domain.documents import document_names, models, observation_series, task_records_document, task_results
from burst.domain.plan import plans
from burst.domain.run import journals, observations_builder, task_result_builder
from burst.domain.run.events import launch_events
from burst.domain.tasks import tasks
from burst.domain.verdict import cases
from burst.evidence import soundness

if TYPE_CHECKING:
    from burst.domain.run import runs


def require_agreeing_journal(plan: plans.Plan, contents: Mapping[str, bytes], verifier: Mapping[str, str]) -> None:
    """Whether the task result says what the journal does that it was made from.

    A journal that was recovered from a place ends before the task result that is then made once more. What it left
    open may be known since, which cannot be told from the documents; nor whether another version knows more events.
    """
    if document_names.JOURNAL not in contents:
        return
    result = models.read(task_results.TaskResult, contents[document_names.task_result_name(plan.slug)])
    journal = contents[document_names.JOURNAL]
    run, again = _build_again(plan, journal, verifier)
    _compare_beginning(plan, journal, contents)
    older = verifier != cases.VERIFIER or journals.read_minor(journal, document_names.JOURNAL) < _ENDS_MINOR
    surely = soundness.EvidenceState.REFUTED if verifier == cases.VERIFIER else soundness.EvidenceState.UNKNOWN
    course = _course(again)
    if older and "stop_asked_utc" not in result.model_fields_set:
        course["stop_asked_utc"] = None  # its version did not know the field
    for field, was, now in _differing(course, _course(result)):
        # A machine that takes a run over may be interrupted after the end of the journal it recovered.
        state = soundness.EvidenceState.UNKNOWN if was is None and field == "interruption" else surely
        raise soundness.NotSoundError(state, f"the task result says {field} {now}, {document_names.JOURNAL} {was}")
    for task_id, was, now in _differing_ends(again, result, only_set=older):
        how = "leaves out" if now is None else "makes up" if was is None else "tells otherwise of"
        state = soundness.EvidenceState.UNKNOWN if _may_be_later(run, task_id, now) else surely
        raise soundness.NotSoundError(state, f"the task result {how} {task_id}, by what {document_names.JOURNAL} says")
    _compare_records(plan, run, contents, surely)
    _compare_samples(plan, run, contents, surely)
    for name, _, _ in _differing(_errands(again), _errands(result)):
        state = surely if run.settled else soundness.EvidenceState.UNKNOWN
        raise soundness.NotSoundError(state, f"the task result tells otherwise of {name} than {document_names.JOURNAL}")


def _compare_beginning(plan: plans.Plan, journal: bytes, contents: Mapping[str, bytes]) -> None:
    """Whether plan and attempt are those that the run began by: terms that were changed afterwards are no terms."""
    first = journals.parse(journal, document_names.JOURNAL)[0].event
    if not isinstance(first, launch_events.RunCreated):
        return
    beginning = {document_names.PLAN: first.plan_sha256, document_names.attempt_name(plan.slug): first.attempt_sha256}
    for name, sha256 in beginning.items():
        if sha256 is not None and (name not in contents or canonical.digest(contents[name]) != sha256):
            why = f"{name} is not the one that the run began by, by what {document_names.JOURNAL} says"
            raise soundness.NotSoundError(soundness.EvidenceState.REFUTED, why)


def _build_again(
    plan: plans.Plan, journal: bytes, verifier: Mapping[str, str]
) -> tuple[runs.Run, task_results.TaskResult]:
    """The run of a journal, and its task result without the layers, of which the journal has only a part."""
    try:
        run = journals.fold(journals.parse(journal, document_names.JOURNAL))
        return run, task_result_builder.build_task_result(plan, run, [], journal)
    except errors.EvidenceUnknown as exc:
        raise soundness.NotSoundError(soundness.EvidenceState.UNSUPPORTED_SCHEMA, str(exc)) from exc
    except (errors.BurstError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as exc:
        if verifier != cases.VERIFIER:
            raise soundness.NotSoundError(
                soundness.EvidenceState.UNKNOWN,
                f"{document_names.JOURNAL} of {soundness.name_maker(verifier)}: {exc}",
            ) from exc
        raise soundness.NotSoundError(soundness.EvidenceState.CORRUPT, f"{document_names.JOURNAL}: {exc}") from exc


def _differing(was: Mapping[str, Any], now: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    for name in dict.fromkeys([*was, *now]):
        if was.get(name) != now.get(name):
            yield name, was.get(name), now.get(name)


def _course(result: task_results.TaskResult) -> dict[str, object]:
    """When a run began and why it ended, without words from outside, from which secrets were taken out."""
    early, interruption, halt, sign = result.early_stop, result.interruption, result.halt, result.stop_sign
    return {
        "execution_id": result.execution_id,
        "command": result.command,
        "go_utc": result.go_utc and instants.text(result.go_utc),
        "deadline_utc": result.deadline_utc and instants.text(result.deadline_utc),
        "stop_reason": (result.stop_reason or "").partition(":")[0],
        "early_stop": early and f"{early.rule} at {instants.text(early.at_utc)}",
        "interruption": interruption and f"{interruption.signal} at {instants.text(interruption.at_utc)}",
        "stop_asked_utc": result.stop_asked_utc and instants.text(result.stop_asked_utc),
        "halt": halt and f"at {instants.text(halt.at_utc)}, since {instants.text(halt.since_utc)}",
        "stop_sign": sign and f"at {instants.text(sign.at_utc)}",
    }


_ENDS_MINOR = 2
"""The minor version of the journal since which it says who asked for the end of a task, and when its load ended."""


def _differing_ends(
    again: task_results.TaskResult, result: task_results.TaskResult, *, only_set: bool
) -> Iterator[tuple[str, Any, Any]]:
    """The tasks of which two task results tell otherwise; `only_set`: in the fields that the second one has."""
    theirs = {entry.id: entry.judged_value(only_set=only_set) for entry in result.tasks}
    ours = {entry.id: entry.judged_value() for entry in again.tasks}
    if only_set:
        ours = {
            name: {key: part for key, part in value.items() if key in theirs.get(name, value)}
            for name, value in ours.items()
        }
    return _differing(ours, theirs)


def _compare_records(
    plan: plans.Plan, run: runs.Run, contents: Mapping[str, bytes], surely: soundness.EvidenceState
) -> None:
    """Whether the records of the guards are those that the run read, by its journal."""
    name = document_names.task_records_name(plan.slug)
    read = {entry.task_id: entry.judged_value() for entry in task_result_builder.build_task_records(plan, run).records}
    if name not in contents:
        if read:
            guards = wording.format_count(len(read), "guard")
            raise soundness.NotSoundError(
                surely, f"{document_names.JOURNAL} has the records of {guards}, {name} is missing"
            )
        return
    document = models.read(task_records_document.TaskRecords, contents[name])
    documented = {entry.task_id: entry.judged_value() for entry in document.records}
    for task_id, was, now in _differing(read, documented):
        how = "leaves out" if now is None else "makes up" if was is None else "tells otherwise of"
        state = soundness.EvidenceState.UNKNOWN if _may_be_later(run, task_id, now) else surely
        raise soundness.NotSoundError(state, f"{name} {how} {task_id}, by what {document_names.JOURNAL} says")


def _compare_samples(
    plan: plans.Plan, run: runs.Run, contents: Mapping[str, bytes], surely: soundness.EvidenceState
) -> None:
    """Whether the samples are those that the run took, by its journal."""
    name, again = document_names.observations_name(plan.slug), observations_builder.build_observations(plan, run)
    if again is None:
        return
    if name not in contents:
        if run.observed:
            raise soundness.NotSoundError(surely, f"{document_names.JOURNAL} has samples, {name} is missing")
        return
    document = models.read(observation_series.Observations, contents[name])
    taken, documented = (
        {entry.name: (entry.taken, [sample.judged_value() for sample in entry.samples]) for entry in observed.series}
        for observed in (again, document)
    )
    for series, _, _ in _differing(taken, documented):
        raise soundness.NotSoundError(surely, f"{name} tells otherwise of {series} than {document_names.JOURNAL}")


def require_agreeing_records(plan: plans.Plan, contents: Mapping[str, bytes]) -> None:
    """Refutes a task result that its own guards' records contradict."""
    records, result = (
        contents.get(name(plan.slug)) for name in (document_names.task_records_name, document_names.task_result_name)
    )
    if records is None or result is None:
        return
    try:
        contradiction = task_records_document.find_contradiction(
            models.read(task_records_document.TaskRecords, records), models.read(task_results.TaskResult, result)
        )
    except (errors.EvidenceCorrupt, errors.EvidenceUnknown):
        return  # an unreadable document is the verdict's affair, which says so
    if contradiction:
        raise soundness.NotSoundError(
            soundness.EvidenceState.REFUTED,
            f"the task result is not what its guards recorded: {contradiction}",
        )


def _errands(result: task_results.TaskResult) -> dict[str, object]:
    shots = {f"{shot.when}:{shot.name}": shot.model_dump(exclude={"problem"}) for shot in result.one_shots}
    compared = {"name", "before", "desired", "restored", "definition_before", "definition"}
    services = {service.name: service.model_dump(include=compared) for service in result.services}
    drills = {f"drill {drill.name}": drill.judged_value() for drill in result.drills}
    return {**shots, **services, **drills}


def _may_be_later(run: runs.Run, task_id: str, now: object) -> bool:
    """Whether the journal left open what became of a task, or whether it was launched. A task it knows never goes."""
    truth = run.truths.get(task_id)
    if truth is None:
        return run.unaccounted
    return now is not None and truth.status is not tasks.TaskStatus.STOPPED
