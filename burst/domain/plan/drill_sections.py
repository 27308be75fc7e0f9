"""The section of a plan for drills: faults that the run itself causes in its window, and how their recovery is seen."""

from collections.abc import Mapping
from typing import Annotated, Self

import pydantic

from burst.domain.basics import instants
from burst.domain.plan import field_types, sections, yaml_lines

UNDO = "undo-"
"""How the name of the command begins that undoes a drill."""


class RestartSection(pydantic.BaseModel):
    """A fault: every task of this ECS service is replaced."""

    model_config = sections.STRICT

    service: field_types.Name
    """The name of the service."""


class RecoveryRuleSection(pydantic.BaseModel):
    """When the system has recovered: each sample of an observed series keeps the limit, for so long."""

    model_config = sections.STRICT

    series: field_types.Name
    """The observed series that tells."""
    equals: field_types.Scalar = None
    """What its value has to be; one of equals, at_most and at_least."""
    at_most: field_types.Number | None = None
    """What it may be at most."""
    at_least: field_types.Number | None = None
    """What it has to be at least."""
    sustained: field_types.PositiveDuration
    """For how long it has to stay so."""

    @pydantic.model_validator(mode="after")
    def _one_limit(self) -> Self:
        if sum(value is not None for value in (self.equals, self.at_most, self.at_least)) != 1:
            raise field_types.Misfit(("equals",), "exactly one of equals, at_most, at_least")
        return self


class DrillSection(pydantic.BaseModel):
    """A fault that the run causes so long after GO: a service that is restarted, or a command; and its recovery."""

    model_config = sections.STRICT

    name: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,14}$")]
    """The name of the fault."""
    at: field_types.PositiveDuration
    """When it is caused, from GO."""
    restart: RestartSection | None = None
    """A service of ECS whose tasks are started anew."""
    command: Annotated[list[str], pydantic.Field(min_length=1)] | None = None
    """A program that causes the fault."""
    exit_code: Annotated[
        int | None, pydantic.Field(ge=0, le=255, description="What the command ends with when the fault was caused.")
    ] = None
    undo: Annotated[
        list[str] | None,
        pydantic.Field(min_length=1, description="A command that takes the fault back, on every way out of the run."),
    ] = None
    timeout: Annotated[
        field_types.PositiveDuration, pydantic.Field(description="How long command and undo may take, each.")
    ] = 60.0
    task_definition: field_types.Resource | None = None
    """The task definition that the command runs in, on ECS."""
    container: field_types.Name | None = None
    """Its container."""
    recover_within: field_types.PositiveDuration
    """How long the system may take to recover."""
    recovered_when: RecoveryRuleSection
    """What says that it has."""

    @pydantic.model_validator(mode="after")
    def _one_fault(self) -> Self:
        if (self.restart is None) == (self.command is None):
            raise field_types.Misfit(("restart",), "either restart or command, and not both")
        if self.command is None and self.exit_code is not None:
            raise field_types.Misfit(("exit_code",), "nothing: a restart has no exit code")
        if self.command is None and self.undo is None:
            for key in ("task_definition", "container"):
                if getattr(self, key) is not None:
                    raise field_types.Misfit((key,), "nothing: it runs command and undo, and there is neither")
        return self

    @property
    def required_exit_code(self) -> int:
        """What the command has to end with."""
        return self.exit_code or 0

    @property
    def over_after_seconds(self) -> float:
        """How long after GO its recovery has to be seen at the latest."""
        return self.at + self.recover_within + self.recovered_when.sustained

    @property
    def undo_name(self) -> str:
        """The name of the one-shot that takes the fault back."""
        return f"{UNDO}{self.name}"


def refuse_unfit(
    drills: list[DrillSection], *, local: bool, window_seconds: float, shots: set[str], series: Mapping[str, float]
) -> None:
    """Raises `field_types.Misfit` for a drill that does not fit its target, its window, or one before it.

    `shots` are the names of the commands before and after the burst, `series` the observed series with their periods.
    """
    names, free_after_seconds = set(shots), 0.0
    for index, drill in enumerate(drills):
        taken = names.intersection({drill.name, drill.undo_name})
        if taken:
            raise _misfit(index, "name", f"distinct names, but {min(taken)!r} stands twice")
        names |= {drill.name, drill.undo_name}
        _refuse_unfit_target(index, drill, local=local)
        _refuse_unfit_rule(index, drill.recovered_when, series)
        if drill.at < free_after_seconds:
            earliest = instants.write_duration(free_after_seconds)
            raise _misfit(index, "at", f"at least {earliest}, when the drill before it has to have recovered")
        free_after_seconds = drill.over_after_seconds
        if free_after_seconds > window_seconds:
            window, end = instants.write_duration(window_seconds), instants.write_duration(free_after_seconds)
            raise _misfit(
                index, "at", f"at + recover_within + sustained within the window of {window}; they end after {end}"
            )


def _refuse_unfit_target(index: int, drill: DrillSection, *, local: bool) -> None:
    runs_command = drill.command is not None or drill.undo is not None
    if local and drill.restart is not None:
        raise _misfit(index, "restart", "nothing: only ECS services are restarted; target.kind local takes command")
    if local and (drill.task_definition is not None or drill.container is not None):
        raise _misfit(index, "task_definition", "nothing: kind local takes no task_definition and no container")
    if not local and runs_command and ":" not in (drill.task_definition or ""):
        raise _misfit(index, "task_definition", "a pinned revision, such as drills:3, that runs command and undo")


def _refuse_unfit_rule(index: int, rule: RecoveryRuleSection, series: Mapping[str, float]) -> None:
    every_seconds = series.get(rule.series)
    key: yaml_lines.Path = ("during", index, "recovered_when")
    if every_seconds is None:
        raise field_types.Misfit((*key, "series"), f"a series of observe: {', '.join(series) or 'there is none'}")
    if rule.sustained < every_seconds:
        least = instants.write_duration(every_seconds)
        raise field_types.Misfit((*key, "sustained"), f"at least observe.every, which is {least}: two samples show it")


def _misfit(index: int, key: str, allowed: str) -> field_types.Misfit:
    return field_types.Misfit(("during", index, key), allowed)
