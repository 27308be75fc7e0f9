"""The section `reproduces` of a plan: the run that this one repeats, and what both have to have in common."""

from typing import Annotated, Self

import pydantic

from burst.domain.basics import naming
from burst.domain.plan import field_types, question_sections

SHARES_WITHIN = 0.05
"""How far the share of a decision may be from the first run's, where the plan says nothing."""
_CONFIG = pydantic.ConfigDict(
    frozen=True, strict=True, extra="forbid", allow_inf_nan=False, populate_by_name=True, str_max_length=4096
)


class KeysetSection(pydantic.BaseModel):
    """The question for the key set of a scope: SQL that answers one text, or a document with its keys at a path.

    It is asked of both scopes, the reference's and the run's own.
    """

    model_config = _CONFIG

    sql: str | None = None
    """One statement that answers with the keys of :scope."""
    separator: Annotated[
        str, pydantic.Field(min_length=1, max_length=8, description="What stands between the keys of a text.")
    ] = ","
    document: str | None = None
    """A JSON document with the keys; {scope} is the scope."""
    path: Annotated[
        str | None, pydantic.Field(pattern=r"^/", description="An object, whose keys count, or a list of texts.")
    ] = None

    @pydantic.model_validator(mode="after")
    def _one_question(self) -> Self:
        if (self.sql is None) == (self.document is None):
            raise field_types.Misfit(("sql",), "either sql, or document with path")
        if (self.document is None) != (self.path is None):
            raise field_types.Misfit(("path",), "document and path together")
        if self.document is not None and not question_sections.S3_OBJECT.fullmatch(self.document):
            raise field_types.Misfit(
                ("document",), f"s3://BUCKET/KEY ({naming.BUCKET_ALLOWED}); {{scope}} in it is the scope asked about"
            )
        return self

    def describe_source(self, scope: str) -> str:
        """The question about a scope: the SQL, or the address and the path."""
        return self.sql or f"{self.address(scope)}#{self.path}"

    def address(self, scope: str) -> str:
        """Where the document of a scope lies; empty where the question is asked by SQL."""
        return (self.document or "").replace("{scope}", scope)


class ReproducesSection(pydantic.BaseModel):
    """The reference run, and how near to it this one has to come."""

    model_config = _CONFIG

    snapshot: Annotated[
        str,
        pydantic.Field(min_length=1, description="The reference run: a folder, its snapshot, or s3://BUCKET/PREFIX."),
    ]
    phase: Annotated[
        str | None,
        pydantic.Field(
            pattern=r"^[A-Z][A-Z0-9]{0,15}(\.[A-Z0-9]{1,16}){0,3}$",
            description="With it, `snapshot` is a place of runs, and the newest run of this phase there is meant.",
        ),
    ] = None
    sha256: Annotated[
        str | None, pydantic.Field(pattern=r"^[0-9a-f]{64}$", description="The digest of its snapshot.")
    ] = None
    keyset: KeysetSection
    """The keys that both scopes have to hold."""
    shares_within: Annotated[float, pydantic.Field(gt=0, lt=1)] = SHARES_WITHIN
    """How far a share of decisions may be from the reference's."""

    @pydantic.model_validator(mode="after")
    def _known_place(self) -> Self:
        if "://" in self.snapshot and not self.snapshot.startswith("s3://"):
            raise field_types.Misfit(("snapshot",), "a folder, a snapshot, or s3://BUCKET/PREFIX")
        return self
