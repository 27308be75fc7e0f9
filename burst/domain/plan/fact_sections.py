"""The facts behind blockers, and the signs that stop a run."""

from typing import Annotated, Self

import pydantic

from burst.domain.plan import field_types, question_sections


class FactSection(question_sections.QuestionSection):
    """One question behind a blocker, and the answer that clears it."""

    blocker: str
    """The blocker that rests on the answer."""
    name: field_types.Name
    """The name of its gate."""

    @pydantic.model_validator(mode="after")
    def _one_question(self) -> Self:
        self.require_one_question()
        return self


class StopSignSection(question_sections.QuestionSection):
    """A CloudWatch alarm, or a fact, that stops the run: the alarm in state ALARM, the fact once its answer holds."""

    alarm: Annotated[
        field_types.AlarmArn | None,
        pydantic.Field(description="The ARN of a CloudWatch alarm; the run stops while it is in state ALARM."),
    ] = None
    name: Annotated[
        field_types.Name | None,
        pydantic.Field(description="The name of a fact; the run stops once equals, at_most or at_least holds."),
    ] = None

    @pydantic.model_validator(mode="after")
    def _one_form(self) -> Self:
        fields = ("name", "sql", "document", "path", "equals", "at_most", "at_least")
        if self.alarm is not None:
            surplus = [field for field in fields if getattr(self, field) is not None]
            if surplus:
                raise field_types.Misfit(("alarm",), f"an alarm without {surplus[0]}: an entry is an alarm or a fact")
            return self
        if self.name is None:
            raise field_types.Misfit(("name",), "alarm, or name with a question: sql, or document with path")
        self.require_one_question()
        return self

    @property
    def sign(self) -> str:
        """The alarm's ARN, or the fact's name."""
        return str(self.alarm or self.name)
