"""Errands: services scaled for the burst and put back after it, and one-shots before and after it.

Each act is journalled before it is done. The counts that services had before are kept under run control as well, so
that another machine or a sweeper can put them back once the controller is dead. Nothing here decides.
"""

import contextlib
from collections.abc import Collection, Sequence
from datetime import datetime

from burst import ports
from burst.control import pausing, recorder
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import plans
from burst.domain.run import lifecycle, run_terms, runs
from burst.domain.run.events import base, errand_events
from burst.domain.tasks import services, tasks


class Errands:
    """Services and one-shots of one run."""

    def __init__(
        self,
        *,
        plan: plans.Plan,
        terms: run_terms.RunTerms,
        record: recorder.Recorder,
        one_shots: ports.OneShots | None,
        services: ports.Services | None,
        place: ports.EvidenceStore | None,
        clock: ports.Clock,
    ) -> None:
        self._plan = plan
        self._terms = terms
        self._record = record
        self._one_shots = one_shots
        self._services = services
        self._place = place
        self._clock = clock
        self._names = [service.name for service in plan.services]

    def catch_up(self) -> None:
        """Journals acts of a dead controller that the journal does not have: services scaled, one-shots started."""
        run = self._record.run
        if self._terms.scales and run.scaling is None and self._place is not None:
            with contextlib.suppress(errors.BurstError):  # where it cannot be read, the gate of the services says so
                name = document_names.services_name(run.execution_id)
                kept = models.read(run_records.KeptServices, self._place.read(name))
                self._record.note(errand_events.ServicesFound(services=kept.changes, rolls=kept.rolled))
        if self._one_shots is None or self._record.run.launching_at is None:
            return
        for shot in self._terms.all_shots:
            if shot.name in self._record.run.shots:
                continue
            with contextlib.suppress(errors.Unavailable):
                started = self._one_shots.find(self._id(shot.name))
                if started:
                    self._intend(shot)
                    self._record.note(errand_events.OneShotStarted(name=shot.name, task_id=started[0].task_id))

    def look(self) -> None:
        """Journals each running one-shot that has changed. A one-shot that cannot be seen has not ended."""
        for name, shot in self._record.run.shots.items():
            if shot.truth is None or shot.ended or self._one_shots is None:
                continue
            with contextlib.suppress(errors.Unavailable):
                (truth,) = self._one_shots.inspect([shot.truth.task])
                if truth != shot.truth:
                    self._record.note(
                        errand_events.OneShotSeen(
                            name=name,
                            truth=base.TruthEntry.from_truth(truth),
                            end=base.EndEntry.from_end(truth.end) if truth.end else None,
                        )
                    )

    def abandon(self) -> list[str]:
        """Ends one-shots and puts services back at once; returns the commands that a person still has to run."""
        undoing = {drill.undo.name for drill in self._terms.planned_drills if drill.undo is not None}
        for name, shot in self._record.run.shots.items():
            if name in undoing:
                continue  # it takes a fault back
            if shot.truth is not None and not shot.ended and self._one_shots is not None:
                with contextlib.suppress(errors.BurstError, OSError):
                    self._one_shots.stop(shot.truth.task, by=tasks.Layer.CONTROLLER, force=True)
        scaling = self._record.run.scaling
        if scaling is None or scaling.settled or self._services is None:
            return []
        try:
            _, problems = put_back(self._services, scaling.changes, scaling.rolls)
        except errors.BurstError as exc:
            problems = {change.name: str(exc) for change in scaling.changes}
        return restoring_commands(str(self._plan.target.cluster), scaling, problems)

    # Services

    def scale(self, decision: lifecycle.ScaleUp | lifecycle.AwaitServices | lifecycle.ScaleBack) -> None:
        """Performs a decision about services."""
        match decision:
            case lifecycle.ScaleUp():
                self._scale_up()
            case lifecycle.AwaitServices(until=until):
                self._await(until)
            case lifecycle.ScaleBack():
                self._scale_back()

    def _scale_up(self) -> None:
        """Remembers how the services stand, here and under run control, and only then changes them."""
        run = self._record.run
        try:
            if self._services is None or self._place is None or run.deadline is None:
                raise errors.Refused("nothing on this target can scale services")
            present = self._services.look(self._names)
            changes = services.plan_changes(self._list_desired(present), present)
            rolls = self._derive_rolls(self._services, present)
            self._record.note(errand_events.ServicesIntended(services=changes, rolls=rolls))
            kept = run_records.KeptServices.from_changes(
                run.execution_id, str(self._plan.target.cluster), run.deadline, changes, rolls
            )
            self._place.put_once(document_names.services_name(run.execution_id), kept.content())
        except errors.BurstError as exc:
            self._note_unscaled(exc)
            return
        failed = self._services.scale(
            {change.name: change.desired for change in changes}, {roll.name: roll.definition for roll in rolls}
        )
        if failed:
            problems = "; ".join(f"{name}: {exc}" for name, exc in failed.items())
            self._record.note(errand_events.ServicesFailed(why=problems))
        else:
            self._record.note(errand_events.ServicesScaled())

    def _list_desired(self, present: Sequence[services.Service]) -> dict[str, int]:
        """The count of each service for the burst: the plan's, or the one that it has."""
        counts = {service.name: service.desired for service in present}
        return {
            section.name: counts.get(section.name, 0) if section.desired is None else section.desired
            for section in self._plan.services
        }

    def _derive_rolls(
        self, port: ports.Services, present: Sequence[services.Service]
    ) -> tuple[services.ServiceRoll, ...]:
        """The task definitions that services are rolled to, made where the plan gives them variables."""
        by_name, rolls = {service.name: service for service in present}, list[services.ServiceRoll]()
        for section in self._plan.services:
            if not section.rolls:
                continue
            before = by_name[section.name].definition
            base, variables = section.task_definition or before, section.variables(self._plan.scope)
            if variables:
                self._record.note(errand_events.DefinitionIntended(service=section.name, base=base))
            definition = port.derive_definition(base, container=section.container, environment=variables)
            if variables:
                self._record.note(errand_events.DefinitionMade(service=section.name, definition=definition))
            rolls.append(services.ServiceRoll(name=section.name, before=before, definition=definition))
        return tuple(rolls)

    def _note_unscaled(self, failure: errors.BurstError) -> None:
        """Journals that no service was changed, because its count could not be read or kept."""
        self._record.note(errand_events.ServicesFailed(why=str(failure)))
        run = self._record.run
        if run.scaling is None:
            return
        unchanged = dict.fromkeys(self._names, "was not changed")
        self._record.note(errand_events.ServicesRestored(back=unchanged, problems={}))
        if self._place is not None:  # the record may stand there, and only its answer be lost: it is over too
            with contextlib.suppress(errors.BurstError):
                note_back(self._place, run.execution_id)

    def _await(self, until: datetime) -> None:
        waiting: tuple[str, ...] = ("they cannot be seen",)
        scaling = self._record.run.scaling
        if self._services is not None and scaling is not None:
            desired = {change.name: change.desired for change in scaling.changes}
            definitions = {roll.name: roll.definition for roll in scaling.rolls}
            with contextlib.suppress(errors.BurstError):  # AccessDenied counts as no answer: the wait goes on
                waiting = services.list_waiting(desired, self._services.look(self._names), definitions)
        if not waiting:
            self._record.note(errand_events.ServicesUp())
        else:
            pausing.until_next_look(self._clock, until)

    def _scale_back(self) -> None:
        scaling = self._record.run.scaling
        if scaling is None:
            return
        self._record.note(errand_events.ServicesRestoring())
        back, problems = dict[str, str](), dict[str, str]()
        try:
            if self._services is None:
                raise errors.Refused("nothing on this target can scale services")
            back, problems = put_back(self._services, scaling.unrestored, scaling.rolls)
        except errors.BurstError as exc:
            problems = {change.name: str(exc) for change in scaling.unrestored}
        self._record.note(errand_events.ServicesRestored(back=back, problems=problems))
        if not problems and self._place is not None:
            with contextlib.suppress(errors.BurstError):
                note_back(self._place, self._record.run.execution_id)

    # One-shots

    def shoot(self, decision: lifecycle.StartShot | lifecycle.FindShot | lifecycle.StopShot) -> None:
        """Performs a decision about a one-shot."""
        match decision:
            case lifecycle.StartShot(shot=shot):
                self._start(shot)
            case lifecycle.FindShot(name=name):
                self._find(name)
            case lifecycle.StopShot(name=name, force=force):
                self._stop(name, force=force)

    def _start(self, shot: tasks.OneShot) -> None:
        self._intend(shot)
        try:
            if self._one_shots is None:
                raise errors.Refused("nothing on this target runs one-shots")
            task = self._one_shots.start(shot, self._record.run.shots[shot.name].deadline)
        except errors.Unavailable as exc:
            self._record.note(errand_events.OneShotUnanswered(name=shot.name, why=str(exc)))
            self._clock.sleep(pausing.RETRY_SECONDS)
        except errors.BurstError as exc:
            self._record.note(errand_events.OneShotRefused(name=shot.name, why=str(exc)))
        else:
            self._record.note(errand_events.OneShotStarted(name=shot.name, task_id=task.task_id))

    def _intend(self, shot: tasks.OneShot) -> None:
        self._record.note(
            errand_events.OneShotIntended(
                name=shot.name,
                timeout_seconds=shot.timeout_seconds,
                exit_code=shot.exit_code,
                task_definition=shot.task_definition,
            )
        )

    def _find(self, name: str) -> None:
        """Looks for the task of an unanswered start. If it is not seen for long enough, nothing was started."""
        asked_at = self._record.run.shots[name].asked_at
        appears_by = instants.later(asked_at, self._terms.appears_seconds)
        began_at = self._clock.now()
        with contextlib.suppress(errors.Unavailable):
            started = self._one_shots.find(self._id(name)) if self._one_shots is not None else ()
            if started:
                self._record.note(errand_events.OneShotStarted(name=name, task_id=started[0].task_id))
                return
            if began_at >= appears_by:
                why = "its start was not answered, and it is not there"
                self._record.note(errand_events.OneShotRefused(name=name, why=why))
                return
        pausing.until_next_look(self._clock, None)

    def _stop(self, name: str, *, force: bool) -> None:
        truth = self._record.run.shots[name].truth
        self._record.note(errand_events.OneShotStopIntended(name=name, force=force))
        if truth is None or self._one_shots is None:
            return
        try:
            self._one_shots.stop(truth.task, by=tasks.Layer.CONTROLLER, force=force)
        except errors.BurstError as exc:
            self._record.note(errand_events.OneShotStopUnsent(name=name, why=str(exc)))

    def _id(self, name: str) -> str:
        return tasks.one_shot_id(self._record.run.execution_id, name)


def put_back(
    port: ports.Services, changes: Sequence[services.ServiceChange], rolls: Sequence[services.ServiceRoll] = ()
) -> tuple[dict[str, str], dict[str, str]]:
    """Puts services back: service to how it was left, and service to why it could not be put back.

    A service that seems restored is set again, because DescribeServices may be stale. If that call is denied, the
    scale-up was denied too, so nothing needs restoring.

    Raises `errors.BurstError` where the services cannot be seen.
    """
    steps = services.plan_restore(changes, port.look([change.name for change in changes]), rolls)
    failed = port.scale({**steps.wanted, **steps.again}, steps.definitions)
    rolled = {name: f" and to {definition}" for name, definition in steps.definitions.items()}
    back = {
        **{name: f"was set back to {count}{rolled.get(name, '')}" for name, count in steps.wanted.items()},
        **{name: f"has its {count} again" for name, count in steps.again.items()},
    }
    problems = {
        name: str(exc) for name, exc in failed.items() if name in steps.wanted or isinstance(exc, errors.Unavailable)
    }
    return {**steps.left, **{name: how for name, how in back.items() if name not in problems}}, problems


def note_back(place: ports.EvidenceStore, execution_id: str) -> None:
    """Writes under run control that a run's services are put back; a record that stands already is left.

    Raises as `EvidenceStore.put_once` does.
    """
    with contextlib.suppress(errors.Conflict):
        place.put_once(
            document_names.services_back_name(execution_id), canonical.encode({"execution_id": execution_id})
        )


def restoring_commands(cluster: str, scaling: runs.Scaling, problems: Collection[str]) -> list[str]:
    """The command for each service that could not be put back, for a person to run."""
    return [
        services.restoring_command(cluster, change.name, change.before, scaling.definitions_before.get(change.name))
        for change in scaling.changes
        if change.name in problems
    ]
