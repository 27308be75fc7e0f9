"""Files that a person writes beside a plan: stages, campaigns, scores and owners. They are read as a plan is, and
refused with every problem at its line."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Generic, TypeVar

import pydantic

from burst.domain.basics import errors, wording
from burst.domain.plan import plan_problems, yaml_lines

M = TypeVar("M", bound=pydantic.BaseModel)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileForm(Generic[M]):
    """One kind of file: its model with its schema, its name, and what was not done because a file of it is wrong."""

    model: type[M]
    schema: str
    name: str
    undone: str
    find_unfilled: Callable[[yaml_lines.Source], Iterable[yaml_lines.Problem]] = plan_problems.find_unfilled
    """Finds the values that nobody has filled in."""

    def parse(self, text: str, source: str) -> M:
        """A file from YAML or JSON text; messages call it `source`. Raises `errors.UsageError` with every problem."""
        try:
            return self._parse(text, source)
        except yaml_lines.PlanError as exc:
            problems = "\n".join(f"  {problem.text(source)}" for problem in exc.problems)
            count = wording.format_count(len(exc.problems), "problem")
            raise errors.UsageError(f"the {self.name} has {count}; {self.undone}:\n{problems}") from None

    def _parse(self, text: str, source: str) -> M:
        composed = yaml_lines.Source(text, source, self.schema)
        if composed.problems:
            raise yaml_lines.PlanError(source, tuple(composed.problems))
        problems = list(self.find_unfilled(composed))
        try:
            file = self.model.model_validate(composed.value)
        except pydantic.ValidationError as exc:
            keys = {problem.key for problem in problems}
            refusals = plan_problems.explain_refusal(exc, composed, self.model)
            problems.extend(problem for problem in refusals if problem.key not in keys)
        if problems:
            raise yaml_lines.PlanError(source, tuple(sorted(problems, key=lambda problem: problem.line)))
        return file
