"""Errands: what a controller does besides its tasks: services up and back, and one-shots before and after the burst.

Each act is journalled before it is done, and what stood before is kept under run control as well, so that another
machine, or a sweeper, can put a service back that nobody else will. Nothing here decides.
"""

import contextlib
from collections.abc import Mapping, Sequence
from datetime import datetime

from burst import ports
from burst.control import pausing, recorder
from burst.domain.basics import canonical, errors, instants
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import plans
from burst.domain.run import journals, lifecycle
from burst.domain.tasks import services, tasks


class Errands:
    """Services and one-shots of one run."""

    def __init__(
        self,
        *,
        plan: plans.Plan,
        terms: lifecycle.RunTerms,
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
        self._wanted = {service.name: service.desired for service in plan.services}

    def catch_up(self) -> None:
        """Journals what a dead controller did and this journal does not know: services scaled, one-shots started."""
        run = self._record.run
        if self._terms.scales and run.scaling is None and self._place is not None:
            with contextlib.suppress(errors.BurstError):  # where it cannot be told, the gate of the services says so
                name = document_names.services_name(run.execution_id)
                kept = models.read(run_records.KeptServices, self._place.read(name))
                self._record.note("services-found", services=_change_fields(kept.changes))
        if self._one_shots is None or self._record.run.launching_at is None:
            return
        for shot in (*self._terms.before, *self._terms.after):
            if shot.name in self._record.run.shots:
                continue
            with contextlib.suppress(errors.Unavailable):
                found = self._one_shots.find(self._id(shot.name))
                if found:
                    self._intend(shot)
                    self._record.note("one-shot-started", name=shot.name, task_id=found[0].task_id)

    def look(self) -> None:
        """Journals what is new about one-shots that run. One that cannot be seen has not ended."""
        for name, shot in self._record.run.shots.items():
            if shot.truth is None or shot.ended or self._one_shots is None:
                continue
            with contextlib.suppress(errors.Unavailable):
                (truth,) = self._one_shots.inspect([shot.truth.task])
                if truth != shot.truth:
                    self._record.note("one-shot-seen", name=name, truth=journals.truth_fields(truth))

    def abandon(self) -> list[str]:
        """Ends one-shots and puts services back at once; returns what is left for a person to do."""
        for shot in self._record.run.shots.values():
            if shot.truth is not None and not shot.ended and self._one_shots is not None:
                with contextlib.suppress(errors.BurstError, OSError):
                    self._one_shots.stop(shot.truth.task, by=tasks.Layer.CONTROLLER, force=True)
        scaling = self._record.run.scaling
        if scaling is None or scaling.settled or self._services is None:
            return []
        try:
            _, problems = put_back(self._services, scaling.changes)
        except errors.BurstError as exc:
            problems = {change.name: str(exc) for change in scaling.changes}
        return restoring_commands(str(self._plan.target.cluster), scaling.changes, problems)

    # Services

    def scale(self, decision: lifecycle.ScaleUp | lifecycle.AwaitServices | lifecycle.ScaleBack) -> None:
        """Performs what was decided about services."""
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
            made = services.changes(self._wanted, self._services.look(list(self._wanted)))
            self._record.note("services-intended", services=_change_fields(made))
            kept = run_records.KeptServices.from_changes(
                run.execution_id, str(self._plan.target.cluster), run.deadline, made
            )
            self._place.put_once(document_names.services_name(run.execution_id), kept.content())
        except errors.BurstError as exc:
            self._record.note("services-failed", why=str(exc))
            if self._record.run.scaling is not None:
                unchanged = dict.fromkeys(self._wanted, "was not changed")
                self._record.note("services-restored", back=unchanged, problems={})
                if self._place is not None:  # where the answer alone was lost, what was kept there is over
                    with contextlib.suppress(errors.BurstError):
                        note_back(self._place, run.execution_id)
            return
        failed = self._services.scale(self._wanted)
        if failed:
            self._record.note("services-failed", why="; ".join(f"{name}: {exc}" for name, exc in failed.items()))
        else:
            self._record.note("services-scaled")

    def _await(self, until: datetime) -> None:
        waiting: tuple[str, ...] = ("they cannot be seen",)
        if self._services is not None:
            with contextlib.suppress(errors.BurstError):  # who may not look waits as long as who is not answered
                waiting = services.not_running(self._wanted, self._services.look(list(self._wanted)))
        if not waiting:
            self._record.note("services-up")
        else:
            pausing.until_next_look(self._clock, until)

    def _scale_back(self) -> None:
        scaling = self._record.run.scaling
        if scaling is None:
            return
        self._record.note("services-restoring")
        back, problems = dict[str, str](), dict[str, str]()
        left = [change for change in scaling.changes if change.name not in scaling.back]
        try:
            if self._services is None:
                raise errors.Refused("nothing on this target can scale services")
            back, problems = put_back(self._services, left)
        except errors.BurstError as exc:
            problems = {change.name: str(exc) for change in left}
        self._record.note("services-restored", back=back, problems=problems)
        if not problems and self._place is not None:
            with contextlib.suppress(errors.BurstError):
                note_back(self._place, self._record.run.execution_id)

    # One-shots

    def shoot(self, decision: lifecycle.StartShot | lifecycle.FindShot | lifecycle.StopShot) -> None:
        """Performs what was decided about a one-shot."""
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
            self._record.note("one-shot-unanswered", name=shot.name, why=str(exc))
            self._clock.sleep(pausing.RETRY_SECONDS)
        except errors.BurstError as exc:
            self._record.note("one-shot-refused", name=shot.name, why=str(exc))
        else:
            self._record.note("one-shot-started", name=shot.name, task_id=task.task_id)

    def _intend(self, shot: tasks.OneShot) -> None:
        self._record.note(
            "one-shot-intended",
            name=shot.name,
            timeout_seconds=shot.timeout_seconds,
            exit_code=shot.exit_code,
            task_definition=shot.task_definition,
        )

    def _find(self, name: str) -> None:
        """What an unanswered start came to; one that stays unseen for long enough was none."""
        asked_at = self._record.run.shots[name].asked_at
        appears_by = instants.later(asked_at, self._terms.appears_seconds)
        began_at = self._clock.now()
        with contextlib.suppress(errors.Unavailable):
            found = self._one_shots.find(self._id(name)) if self._one_shots is not None else ()
            if found:
                self._record.note("one-shot-started", name=name, task_id=found[0].task_id)
                return
            if began_at >= appears_by:
                self._record.note("one-shot-refused", name=name, why="its start was not answered, and it is not there")
                return
        pausing.until_next_look(self._clock, None)

    def _stop(self, name: str, *, force: bool) -> None:
        truth = self._record.run.shots[name].truth
        self._record.note("one-shot-stop-intended", name=name, force=force)
        if truth is None or self._one_shots is None:
            return
        try:
            self._one_shots.stop(truth.task, by=tasks.Layer.CONTROLLER, force=force)
        except errors.BurstError as exc:
            self._record.note("one-shot-stop-unsent", name=name, why=str(exc))

    def _id(self, name: str) -> str:
        return tasks.one_shot_id(self._record.run.execution_id, name)


def put_back(port: ports.Services, made: Sequence[services.ServiceChange]) -> tuple[dict[str, str], dict[str, str]]:
    """Puts services back: how each was left, and why each of the others could not be.

    One that has its count again is told it all the same, because what is seen may be old. Where that is denied, so was
    what the burst wanted, and it is left.

    Raises `errors.BurstError` where it cannot be told how they stand.
    """
    found = services.back(made, port.look([change.name for change in made]))
    failed = port.scale({**found.wanted, **found.again})
    back = {
        **{name: f"was set back to {count}" for name, count in found.wanted.items()},
        **{name: f"has its {count} again" for name, count in found.again.items()},
    }
    problems = {
        name: str(exc) for name, exc in failed.items() if name in found.wanted or isinstance(exc, errors.Unavailable)
    }
    return {**found.left, **{name: how for name, how in back.items() if name not in problems}}, problems


def note_back(place: ports.EvidenceStore, execution_id: str) -> None:
    """Says under run control that a run's services are put back; said before, it stands. Raises what the store does."""
    with contextlib.suppress(errors.Conflict):
        place.put_once(
            document_names.services_back_name(execution_id), canonical.encode({"execution_id": execution_id})
        )


def restoring_commands(cluster: str, made: Sequence[services.ServiceChange], problems: Mapping[str, str]) -> list[str]:
    """What a person runs for each service that could not be put back."""
    return [
        services.restoring_command(cluster, change.name, change.before) for change in made if change.name in problems
    ]


def _change_fields(made: tuple[services.ServiceChange, ...]) -> list[dict[str, str | int]]:
    return [{"name": one.name, "before": one.before, "desired": one.desired} for one in made]
