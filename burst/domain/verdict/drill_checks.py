"""The section `drills` of the snapshot: each fault in short, with its recovery and the receipts around it."""

from typing import Self

from burst.domain.documents import models, window_metrics
from burst.domain.observations import recoveries
from burst.domain.plan import drill_sections
from burst.domain.run import drill_recoveries
from burst.domain.verdict import cases, drill_gates


class DrillCheck(models.Model):
    """One drill. `planned_utc` None: the run never came to GO. `recovered_utc` None: nobody saw a recovery."""

    name: str
    """The name of the drill in the plan."""
    fault: str
    """`restart SERVICE`, or the words of the command."""
    planned_utc: models.Instant | None
    """GO and the seconds that the plan names; None where GO was never given."""
    faulted_utc: models.Instant | None
    """When the controller noted that it would cause the fault; None where the fault was surely not caused."""
    over_utc: models.Instant | None
    """When the fault itself had come to its end; None where nobody saw that."""
    recovered_utc: models.Instant | None
    """The first sample from which on the recovery held; None where nobody saw a recovery."""
    restart_to_stable_seconds: float | None
    """From the fault to the recovery; None where either is not known."""
    recover_within_seconds: float
    """The time that the plan allows for it."""
    rto_pass: bool
    """Whether the recovery kept that time."""
    tasks_before: models.Count | None
    """How many tasks the service had before; None of a command."""
    replaced_task_count: models.Count | None
    """How many of those run no more; None of a command."""
    undone: bool
    """Whether nothing of the fault is left to take back."""
    before: window_metrics.CountsEntry | None
    """The receipts before the fault; None where they were not counted apart."""
    during: window_metrics.CountsEntry | None
    """The receipts from the fault to the recovery; None where they were not counted apart."""
    after: window_metrics.CountsEntry | None
    """The receipts after the recovery; None where there was none, or no count."""

    @classmethod
    def list_case(cls, case: cases.Case) -> list[Self] | None:
        """Every drill of the plan; None where it has none."""
        recovered = drill_gates.find_recoveries(case)
        return [cls._from_case(case, drill, recovered[drill.name]) for drill in case.plan.drills] or None

    @classmethod
    def _from_case(cls, case: cases.Case, drill: drill_sections.DrillSection, recovery: recoveries.Recovery) -> Self:
        entry = drill_gates.list_entries(case).get(drill.name)
        metrics = case.metrics.value
        parts = next((part for part in metrics.drills if part.drill == drill.name), None) if metrics else None
        before, during, after = (
            (part.counts if part is not None else None)
            for part in ((parts.before, parts.during, parts.after) if parts is not None else (None, None, None))
        )
        return cls(
            name=drill.name,
            fault=f"restart {drill.restart.service}" if drill.restart else " ".join(drill.command or ()),
            planned_utc=entry.planned_utc if entry else None,
            faulted_utc=entry.intended_utc if entry else None,
            over_utc=entry.over_utc if entry else None,
            recovered_utc=recovery.recovered_at,
            restart_to_stable_seconds=drill_recoveries.measure_seconds(entry, recovery) if entry else None,
            recover_within_seconds=drill.recover_within,
            rto_pass=drill_gates.rto_gate(drill, entry, recovery).passed,
            tasks_before=entry.tasks_before if entry else None,
            replaced_task_count=entry.replaced_task_count if entry else None,
            undone=entry.undone if entry else False,
            before=before,
            during=during,
            after=after,
        )
