"""Drilling: causes the faults of a plan, each once, sees restarted services replace their tasks, and takes faults back.

Each fault is journalled, and kept under run control where another machine may take the run over, before it is caused.
A restart whose answer is lost is never repeated before the service was looked at. Nothing here decides.
"""

import contextlib
import dataclasses

from burst import ports
from burst.control import errands, pausing, recorder
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, models, run_records
from burst.domain.run import lifecycle, run_terms
from burst.domain.run.events import drill_events
from burst.domain.tasks import drills
from burst.domain.tasks import services as rollouts

LOOK_SECONDS = 1.0
"""Seconds between two looks at a service whose tasks are being replaced."""


class Drilling:
    """The drills of one run. `place` is where faults are kept for other machines; None: no other takes the run over."""

    def __init__(
        self,
        *,
        terms: run_terms.RunTerms,
        record: recorder.Recorder,
        errands_: errands.Errands,
        one_shots: ports.OneShots | None,
        services: ports.Services | None,
        place: ports.EvidenceStore | None,
        clock: ports.Clock,
    ) -> None:
        self._terms = terms
        self._record = record
        self._errands = errands_
        self._one_shots = one_shots
        self._services = services
        self._place = place
        self._clock = clock
        self._look_due_at = clock.now()

    def catch_up(self) -> None:
        """Journals faults that a lost controller intended, and that this journal does not have."""
        for drill in self._terms.planned_drills:
            if drill.name in self._record.run.strikes or self._place is None:
                continue
            name = document_names.drill_name(self._record.run.execution_id, drill.name)
            event = drill_events.DrillFound(name=drill.name, intended_at=self._clock.now(), deployment=None, tasks=())
            try:
                kept = models.read(run_records.KeptDrill, self._place.read(name))
            except errors.EvidenceIncomplete:
                continue
            except errors.BurstError:
                self._record.note(event)  # it may have been caused: so it is not caused again, and is taken back
            else:
                self._record.note(
                    dataclasses.replace(
                        event, intended_at=kept.at_utc, deployment=kept.deployment, tasks=tuple(kept.tasks)
                    )
                )

    def perform(self, decision: lifecycle.StrikeDrill | lifecycle.GiveUpDrill) -> None:
        """Performs a decision about a drill."""
        match decision:
            case lifecycle.GiveUpDrill(name=name):
                why = "the run came to it too late: the rest of the window could not show a recovery"
                self._record.note(drill_events.DrillRefused(name=name, why=why))
            case lifecycle.StrikeDrill(drill=drill, in_time=in_time):
                if drill.command is not None:
                    self._start_command(drill)
                else:
                    self._restart(drill, str(drill.service), in_time=in_time)

    def look(self) -> None:
        """Journals how far each restarted service is, where it is time to look."""
        now = self._clock.now()
        if now < self._look_due_at:
            return
        self._look_due_at = instants.later(now, LOOK_SECONDS)
        for drill in self._terms.planned_drills:
            strike = self._record.run.strikes.get(drill.name)
            if drill.service and strike and strike.struck_at and not strike.over_at and self._services is not None:
                with contextlib.suppress(errors.BurstError):  # a service that cannot be seen is not yet over
                    self._note_progress(drill, strike, self._services.look_at_rollout(drill.service))

    def _note_progress(self, drill: drills.Drill, strike: drills.Strike, rollout: rollouts.Rollout) -> None:
        replacement = rollouts.judge_restart(strike.tasks_before, strike.deployment, rollout)
        if (replacement.replaced, replacement.running, replacement.over, rollout.detail) != (
            *(strike.replaced, strike.running, strike.over_at is not None, strike.detail),
        ):
            self._record.note(
                drill_events.DrillSeen(
                    name=drill.name,
                    replaced=replacement.replaced,
                    running=replacement.running,
                    over=replacement.over,
                    detail=rollout.detail,
                )
            )

    def note_back(self) -> None:
        """Writes under run control which faults have nothing left to take back."""
        run = self._record.run
        for drill in self._terms.planned_drills:
            strike = run.strikes.get(drill.name)
            if self._place is None or strike is None or not drills.is_back(drill, strike, run.shots):
                continue
            with contextlib.suppress(errors.BurstError):
                note_back(self._place, run.execution_id, drill.name)

    def abandon(self) -> list[str]:
        """Starts at once the command of each fault that has to be taken back; the names of those that could not."""
        run, commands = self._record.run, list[str]()
        for drill in self._terms.planned_drills:
            if drill.undo is None or drills.is_back(drill, run.strikes.get(drill.name), run.shots):
                continue
            try:
                if self._one_shots is None:
                    raise errors.Refused("nothing on this target runs one-shots")
                self._one_shots.start(drill.undo, instants.later(self._clock.now(), drill.undo.timeout_seconds))
            except (errors.BurstError, OSError) as exc:
                commands.append(f"{' '.join(drill.undo.command)}  # drill {drill.name} is not undone: {exc}")
        return commands

    # The fault

    def _start_command(self, drill: drills.Drill) -> None:
        if drill.command is None or not self._intend(drill, None):
            return
        self._errands.shoot(lifecycle.StartShot(shot=drill.command))

    def _restart(self, drill: drills.Drill, service: str, *, in_time: bool) -> None:
        strike = self._record.run.strikes.get(drill.name)
        try:
            if self._services is None:
                raise errors.Refused("nothing on this target restarts services")
            rollout = self._services.look_at_rollout(service)
        except errors.Unavailable:
            pausing.until_next_look(self._clock, None)
            return
        except errors.BurstError as exc:
            self._refuse(drill, str(exc))
            return
        if strike is None:
            if self._intend(drill, rollout):
                self._call(drill, self._services, service)
        elif rollout.deployment != strike.deployment:
            self._record.note(drill_events.DrillStruck(name=drill.name, deployment=rollout.deployment, adopted=True))
        elif self._clock.now() < instants.later(strike.intended_at, self._terms.appears_seconds):
            pausing.until_next_look(self._clock, None)  # ECS may show a deployment only some time after it began
        elif not in_time:
            self._refuse(drill, "its restart was not answered, and the service has no new deployment")
        else:
            self._call(drill, self._services, service)

    def _intend(self, drill: drills.Drill, rollout: rollouts.Rollout | None) -> bool:
        """Journals the fault, and keeps it under run control; whether it may be caused now."""
        run = self._record.run
        deployment, running_tasks = (rollout.deployment, rollout.tasks) if rollout else (None, ())
        entry = self._record.note(
            drill_events.DrillIntended(name=drill.name, deployment=deployment, tasks=tuple(running_tasks))
        )
        if self._place is None:
            return True
        kept = run_records.KeptDrill(
            execution_id=run.execution_id,
            name=drill.name,
            at_utc=entry.at,
            deadline_utc=run.deadline or entry.at,
            service=drill.service,
            deployment=deployment,
            tasks=list(running_tasks),
            undo=drill.undo.name if drill.undo else None,
        )
        try:
            self._place.put_once(document_names.drill_name(run.execution_id, drill.name), kept.content())
        except errors.BurstError as exc:
            self._refuse(drill, f"it could not be kept under run control: {exc}")
            return False
        return True

    def _call(self, drill: drills.Drill, cluster_services: ports.Services, service: str) -> None:
        try:
            deployment = cluster_services.restart(service)
        except errors.Unavailable as exc:
            self._record.note(drill_events.DrillUnanswered(name=drill.name, why=str(exc)))
            self._clock.sleep(pausing.RETRY_SECONDS)
        except errors.BurstError as exc:
            self._refuse(drill, str(exc))
        else:
            self._record.note(drill_events.DrillStruck(name=drill.name, deployment=deployment, adopted=False))

    def _refuse(self, drill: drills.Drill, why: str) -> None:
        self._record.note(drill_events.DrillRefused(name=drill.name, why=why))


def note_back(place: ports.EvidenceStore, execution_id: str, drill: str) -> None:
    """Writes under run control that nothing of a fault is left to take back; a record that stands already is left.

    Raises as `EvidenceStore.put_once` does.
    """
    with contextlib.suppress(errors.Conflict):
        name = document_names.drill_back_name(execution_id, drill)
        place.put_once(name, canonical.encode({"execution_id": execution_id, "drill": drill}))
