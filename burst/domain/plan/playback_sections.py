"""The playback of a load: a recording that is sent again, how it is paced, and where its checkpoint is kept."""

from typing import Annotated, Self

import pydantic

from burst.domain.plan import field_types, sections
from burst.load.playback import templates

FOLDER_SCHEME = "folder:"
CHECKPOINT_VARIABLE = "WSP_CHECKPOINT_DSN"
"""The variable of a task that holds the DSN where the plan's own reference names none."""
MOST_CHARACTERS = 2500
"""ECS takes overrides of 8,192 characters, and other variables need most of them."""


class PlaybackSection(pydantic.BaseModel):
    """`load.playback`: the recording, the field that is the key, the pace, the template and the checkpoint."""

    model_config = sections.STRICT

    source: Annotated[
        str, pydantic.Field(min_length=1, description="A file, a folder, or s3://BUCKET/PREFIX, played in order.")
    ]
    key: Annotated[
        str, pydantic.Field(description="The dotted path of the field whose records keep their order and their shard.")
    ]
    at: Annotated[
        str | None, pydantic.Field(description="The dotted path of the field with the instant of a record.")
    ] = None
    speed_up: Annotated[
        float | None, pydantic.Field(gt=0, le=1e6, description="How many recorded seconds pass in one; or a load.rate.")
    ] = None
    template: dict[str, str] | None = None
    """The changes to a recorded event before it is sent."""
    max_events: Annotated[
        field_types.PositiveWhole | None,
        pydantic.Field(description="The most records of each task, over all its runs."),
    ] = None
    checkpoint: Annotated[
        str | None, pydantic.Field(description="A reference to a DSN of Postgres, or folder:PATH on this machine.")
    ] = None

    @pydantic.field_validator("key", "at")
    @classmethod
    def _require_dotted_path(cls, value: str | None) -> str | None:
        if value is not None and not all(value.split(".")):
            raise ValueError("expected a dotted path such as payload.account")
        return value

    @pydantic.field_validator("source")
    @classmethod
    def _known_scheme(cls, value: str) -> str:
        scheme, is_uri, address = value.partition("://")
        if is_uri and (scheme != "s3" or not address.partition("/")[0]):
            raise ValueError("expected a file, a folder, or s3://BUCKET/PREFIX")
        return value

    @pydantic.field_validator("template")
    @classmethod
    def _known_placeholders(cls, value: dict[str, str] | None) -> dict[str, str] | None:
        problem = templates.find_problem(value or {})
        if problem:
            raise ValueError(f"expected fields with known placeholders: {problem}")
        return value

    @pydantic.field_validator("checkpoint")
    @classmethod
    def _known_place(cls, value: str | None) -> str | None:
        is_folder = value is not None and value.startswith(FOLDER_SCHEME) and value != FOLDER_SCHEME
        if value is not None and not is_folder and not field_types.SECRET_REFERENCE.fullmatch(value):
            raise ValueError(f"expected {field_types.REFERENCE_ALLOWED}, or folder:PATH")
        return value

    @pydantic.model_validator(mode="after")
    def _known_instants(self) -> Self:
        if self.speed_up is not None and self.at is None:
            raise field_types.Misfit(("at",), "this key is required with speed_up: it names the instant of a record")
        return self

    @property
    def checkpoint_secret(self) -> str | None:
        """The reference to the DSN of the checkpoints; None where there is none."""
        return None if self.checkpoint is None or self.checkpoint.startswith(FOLDER_SCHEME) else self.checkpoint

    @property
    def checkpoint_variable(self) -> str | None:
        """The variable in which a task finds that DSN."""
        if self.checkpoint_secret is None:
            return None
        scheme, _, name = self.checkpoint_secret.partition(":")
        return name if scheme == "env" else CHECKPOINT_VARIABLE

    @property
    def task_checkpoint(self) -> str | None:
        """Where a task keeps its checkpoint, in the words of its settings."""
        return self.checkpoint if self.checkpoint_variable is None else f"env:{self.checkpoint_variable}"
