"""Where the tasks of a plan run, and what of the system under load runs beside them."""

import re
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.plan import field_types, sections


class ReaperSection(sections.Section):
    """The task that the schedule of the hard stop starts at the deadline; it runs `burst reap`."""

    task_definition: field_types.Resource
    """The task definition that runs `burst reap`."""
    role_arn: field_types.Resource
    """The role by which EventBridge Scheduler starts it."""
    group: field_types.Name
    """The group of schedules."""
    dead_letter_arn: field_types.Resource | None = None
    """The queue for schedules that could not start it."""


class PriceSection(sections.Section):
    """The price of an hour, where it is not the list price."""

    vcpu_hour_usd: Annotated[float, pydantic.Field(gt=0, le=1e6)]
    """Dollars for a vCPU and an hour."""
    gb_hour_usd: Annotated[float, pydantic.Field(gt=0, le=1e6)]
    """Dollars for a GB of memory and an hour."""


class TargetSection(sections.Section):
    """Where tasks run and how many of them."""

    kind: Literal["local", "ecs"]
    """local: processes of this machine. ecs: Fargate tasks."""
    tasks: Annotated[int, pydantic.Field(ge=1, le=1000)]
    """How many tasks burst."""
    min_tasks: Annotated[int, pydantic.Field(ge=1, le=1000)] | None = None
    """So many are enough for GO; with fewer holding to the end B9 opens."""
    replacements: Annotated[int, pydantic.Field(ge=0, le=1000)] | None = None
    """How many tasks that fail to start are replaced before GO; a fiftieth of them unless said."""
    cluster: field_types.Resource | None = None
    """The ECS cluster."""
    task_definition: field_types.Resource | None = None
    """The task definition with its revision, such as burst-task:12."""
    container: field_types.Name | None = None
    """The container of the task definition that the load runs in."""
    capacity: Annotated[list[field_types.Name], pydantic.Field(min_length=1)] | None = None
    """Capacity providers, the one to try first at the front."""
    subnets: list[field_types.Name] | None = None
    """The subnets of the tasks."""
    security_groups: list[field_types.Name] | None = None
    """The security groups of the tasks."""
    assign_public_ip: Annotated[
        bool | None,
        pydantic.Field(description="true: each task gets a public address, where the way out is an internet gateway."),
    ] = None
    reaper: ReaperSection | None = None
    """The reaper, which ends tasks where every nearer layer has failed."""
    price: PriceSection | None = None
    """What a task costs an hour, where it is not the usual price."""

    @pydantic.field_validator("capacity")
    @classmethod
    def _distinct_capacity(cls, value: list[str] | None) -> list[str] | None:
        if value is not None and len(set(value)) < len(value):
            raise ValueError("expected each provider once: tasks that one cannot start are asked of the next")
        return value

    @pydantic.model_validator(mode="after")
    def _fits(self) -> Self:
        if self.min_tasks is not None and self.min_tasks > self.tasks:
            raise field_types.Misfit(("min_tasks",), f"at most tasks, which is {self.tasks}")
        ecs = {name: getattr(self, name) for name in ("cluster", "task_definition", "subnets", "security_groups")}
        if self.kind == "ecs":
            missing = [name for name, value in ecs.items() if not value]
            if missing:
                raise field_types.Misfit((missing[0],), f"kind ecs needs {', '.join(missing)}")
            if ":" not in (self.task_definition or ""):
                raise field_types.Misfit(("task_definition",), "a pinned revision, such as burst-task:12")
        ecs_keys = (*ecs, "container", "capacity", "assign_public_ip", "reaper", "price")
        set_keys = [name for name in ecs_keys if getattr(self, name) is not None]
        if self.kind == "local" and set_keys:
            raise field_types.Misfit((set_keys[0],), f"nothing: kind local takes no {', '.join(set_keys)}")
        return self

    @property
    def least_tasks(self) -> int:
        """The fewest tasks that still make a burst."""
        return self.tasks if self.min_tasks is None else self.min_tasks

    @property
    def most_replacements(self) -> int:
        """How many tasks that fail to start are replaced before GO: unless said, a fiftieth, and at least one."""
        return max(1, self.tasks // 50) if self.replacements is None else self.replacements


class OneShotSection(sections.Section):
    """A command that runs to its end before or after the burst, in a task of its own."""

    name: Annotated[str, pydantic.Field(pattern=r"^[a-z0-9][a-z0-9_-]{0,19}$")]
    """The name of the program, in journal and verdict."""
    task_definition: field_types.Resource | None = None
    """The task definition that it runs in, on ECS."""
    container: field_types.Name | None = None
    """Its container."""
    command: Annotated[list[str], pydantic.Field(min_length=1)]
    """The program with its words."""
    timeout: field_types.PositiveDuration
    """How long it may take."""
    exit_code: Annotated[int, pydantic.Field(ge=0, le=255)] = 0
    """What it has to end with."""


class ServiceSection(sections.Section):
    """An ECS service of the system under load: how many tasks the burst needs of it, of which task definition, and with
    which variables. It is put back after the burst."""

    name: field_types.Name
    """The name of the service."""
    desired: Annotated[
        int | None, pydantic.Field(ge=0, le=10_000, description="Without it the service keeps its count.")
    ] = None
    task_definition: Annotated[
        field_types.Resource | None, pydantic.Field(description="A pinned revision; without it the one that it has.")
    ] = None
    environment: Annotated[
        dict[str, str] | None,
        pydantic.Field(
            min_length=1,
            description="Variables of a new revision that is registered for the run; {scope} is the run's scope.",
        ),
    ] = None
    container: Annotated[
        field_types.Name | None, pydantic.Field(description="The container that gets them; the only essential one.")
    ] = None

    @pydantic.field_validator("environment")
    @classmethod
    def _plain_environment(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        for name in value or ():
            if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
                raise ValueError(f"expected names of letters, digits and _, not {name!r}")
            if field_types.SECRET_NAME.search(name):
                raise field_types.Misfit((name,), "no secret: who may describe a revision reads its variables")
        return value

    @pydantic.model_validator(mode="after")
    def _changes_something(self) -> Self:
        if self.desired is None and not self.rolls:
            raise field_types.Misfit(("desired",), "desired, task_definition or environment")
        if self.container is not None and self.environment is None:
            raise field_types.Misfit(("container",), "nothing: it says where environment goes, and there is none")
        if self.task_definition is not None and ":" not in self.task_definition:
            raise field_types.Misfit(("task_definition",), "a pinned revision, such as ingest-writer:8")
        return self

    @property
    def rolls(self) -> bool:
        """Whether the service gets another task definition for the burst."""
        return self.task_definition is not None or self.environment is not None

    def variables(self, scope: str) -> dict[str, str]:
        """The variables for a run of this scope."""
        return {name: value.replace("{scope}", scope) for name, value in (self.environment or {}).items()}
