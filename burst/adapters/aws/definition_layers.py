"""The layers of the hard stop that lie in an ECS task definition: the guard as entry point, and the sidecar.

Nothing is armed by a call. What the pinned task definition lacks is refused, so that nothing is launched without it.
"""

from datetime import datetime
from typing import Protocol

from burst import ports
from burst.domain.basics import errors
from burst.domain.tasks import ecs_definitions


class DefinedLauncher(Protocol):
    """A launcher that knows the task definition of its tasks."""

    @property
    def definition(self) -> ecs_definitions.Definition:
        """The task definition, as ECS describes it."""
        ...


class GuardLayer:
    """L0: every task starts under `burst guard`."""

    def __init__(self, launcher: DefinedLauncher) -> None:
        self._launcher = launcher

    def arm(self, deadline: datetime) -> str:
        """Says which definition starts the guard. Raises `errors.Refused` where it starts another program."""
        definition = self._launcher.definition
        if not definition.guarded:
            raise errors.Refused(f"the entry point of {definition.arn} is not burst guard")
        return f"every task of {definition.arn} starts under burst guard"

    def disarm(self) -> None:
        """The guard ends with its task."""


class SidecarLayer:
    """L1: the essential container `lifespan` ends the task after budget and grace."""

    def __init__(self, launcher: DefinedLauncher) -> None:
        self._launcher = launcher

    def arm(self, deadline: datetime) -> str:
        """Says how the sidecar acts. Raises `errors.Refused` where the definition has none."""
        definition = self._launcher.definition
        if not definition.sidecar:
            raise errors.Refused(f"{definition.arn} has no essential container named lifespan")
        return "the essential container lifespan ends the task after budget and grace"

    def disarm(self) -> None:
        """The sidecar ends with its task."""


class GuardedLayer:
    """A layer that works through the guard, such as the lease: refused where tasks start without one."""

    def __init__(self, launcher: DefinedLauncher, layer: ports.HardStopLayer, *, problem: str) -> None:
        self._launcher = launcher
        self._layer = layer
        self._problem = problem

    def arm(self, deadline: datetime) -> str:
        """Arms the layer. Raises `errors.Refused` with the problem where tasks start without guard."""
        if not self._launcher.definition.guarded:
            raise errors.Refused(self._problem)
        return self._layer.arm(deadline)

    def disarm(self) -> None:
        """Disarms the layer."""
        self._layer.disarm()
