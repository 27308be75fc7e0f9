"""ECS services that a run scaled and did not put back: which are left to put back, and which another run still holds.

The counts they had before lie under run control, one document a run, so that any machine can put them back.
"""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass

from burst import ports
from burst.adapters.aws import ecs_services
from burst.control import errands
from burst.domain.basics import errors
from burst.domain.documents import document_names, models, run_records
from burst.domain.plan import plans
from burst.domain.tasks import services
from burst.wiring.targets import ecs_places


@dataclass(frozen=True, slots=True, kw_only=True)
class ServicesLeft:
    """The services of one run that were not put back, and the ports that put them back."""

    kept: run_records.KeptServices
    services: ports.Services
    place: ports.EvidenceStore

    def put_back(self) -> tuple[Mapping[str, str], Mapping[str, str]]:
        """How each service was left, and for each that could not be put back why, with the command to run."""
        commands = self.kept.restoring_commands
        try:
            back, problems = errands.put_back(self.services, self.kept.changes, self.kept.rolled)
            if not problems:
                errands.note_back(self.place, self.kept.execution_id)
        except errors.BurstError as exc:
            return {}, {name: f"{exc}; run: {command}" for name, command in commands.items()}
        return back, {name: f"{why}; run: {commands[name]}" for name, why in problems.items()}


def find_left(
    clock: ports.Clock, run_control: str, execution_id: str | None, busy: Set[str]
) -> tuple[list[ServicesLeft], dict[str, str]]:
    """The services of runs past their deadline that were not put back, and why other runs could not be read.

    A `busy` run has tasks in time, which need its services: it is left out. Raises what the store raises where the
    runs cannot be listed.
    """
    scaled_runs, unreadable = list[ServicesLeft](), dict[str, str]()
    place = ecs_places.services_place(run_control)
    for name in document_names.runs_with_services(place.names()):
        if name in busy or execution_id not in (None, name):
            continue
        try:
            kept = _read_kept(place, name)
        except errors.BurstError as exc:
            unreadable[name] = f"cannot read which services it scaled: {exc}"
            continue
        if clock.now() >= kept.deadline_utc:
            cluster_services = ecs_services.EcsServices(kept.cluster, clock=clock)
            scaled_runs.append(ServicesLeft(kept=kept, services=cluster_services, place=place))
    return scaled_runs, unreadable


def find_holders(plan: plans.Plan, present: Sequence[services.Service]) -> dict[str, str]:
    """Those of the plan's services that another run scaled and still has to put back, with the id of that run.

    `present` are the services as they stand now. Raises what the store raises, and what reading a document raises.
    """
    place, holders = ecs_places.services_place(ecs_places.run_control_folder(plan)), dict[str, str]()
    names = {service.name for service in present}
    for run_id in document_names.runs_with_services(place.names()):
        kept = _read_kept(place, run_id)
        if run_id != plan.execution_id and kept.cluster == plan.target.cluster:
            own = [change for change in kept.changes if change.name in names]
            back = services.plan_restore(own, present, kept.rolled)
            holders |= dict.fromkeys(back.wanted, run_id)
    return holders


def _read_kept(place: ports.EvidenceStore, execution_id: str) -> run_records.KeptServices:
    return models.read(run_records.KeptServices, place.read(document_names.services_name(execution_id)))
