"""The document of kept files: what Locust wrote at its end for people, by task. No verdict rests on it."""

from typing import Annotated, Literal

import pydantic

from burst.domain.documents import models


class LocustFile(models.Model):
    """One file of one task. `text` is all of it, without secrets; `sha256` and `size` are those of its UTF-8."""

    shard_index: models.Count
    name: str
    media_type: str
    size: models.Count
    sha256: models.Digest
    text: str


class FileLeftOut(models.Model):
    """A file that the plan keeps and that is not here, and why."""

    shard_index: models.Count
    name: str
    why: models.Words


class LocustFiles(models.Model):
    """`{slug}_locust_files.json`: the files of every task that had begun."""

    schema_: Annotated[Literal["burst.locust-files/v1"], pydantic.Field(alias="schema")] = "burst.locust-files/v1"
    execution_id: str
    platform_run_id: str
    files: list[LocustFile]
    left_out: list[FileLeftOut]
