"""The document of kept files: what Locust wrote at its end for people, by task. No verdict rests on it."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models


class LocustFile(models.Model):
    """One file of one task. `text` is all of it, without secrets; `sha256` and `size` are those of its UTF-8."""

    shard_index: models.Count
    """Which part of the load the task had, from 0."""
    name: str
    """The name that Locust gave the file, such as `stats.csv`."""
    media_type: str
    """`text/csv` or `text/html`."""
    size: models.Count
    """How many bytes the text has in UTF-8."""
    sha256: models.Digest
    """SHA-256 of the text in UTF-8."""
    text: str
    """All of the file, secrets masked."""


class FileLeftOut(models.Model):
    """A file that the plan keeps and that is not here, and why."""

    shard_index: models.Count
    """Which part of the load the task had, from 0."""
    name: str
    """The name of the file that the plan keeps."""
    why: models.Words
    """Why it is not here: the task left none, or the files of a run would be too large."""


class LocustFiles(models.Model):
    """`{slug}_locust_files.json`: the files of every task that had begun."""

    schema_: Annotated[Literal["burst.locust-files/v1"], pydantic.Field(alias="schema")] = "burst.locust-files/v1"
    execution_id: str
    platform_run_id: str
    files: list[LocustFile]
    """Each file of each task that is kept, by the task's shard."""
    left_out: list[FileLeftOut]
    """Each file that the plan keeps and that is not here; none where all are."""
