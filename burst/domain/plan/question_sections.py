"""The question that several sections of a plan ask, in SQL or to a document."""

import re
from typing import Annotated

import pydantic

from burst.domain.basics import naming
from burst.domain.plan import field_types, sections

S3_OBJECT = re.compile(rf"s3://{naming.BUCKET}/\S*[^\s/]")
"""The address of one object on S3."""


class QuestionSection(pydantic.BaseModel):
    """A question in SQL or to a document, and the one answer that it is compared with."""

    model_config = sections.STRICT

    sql: str | None = None
    """One statement with one answer; :scope is bound to the run's scope."""
    document: str | None = None
    """A JSON document: a file, or an s3:// object; {scope} is the run's scope."""
    path: Annotated[str, pydantic.Field(pattern=r"^/")] | None = None
    """Where the answer stands in the document, as a JSON pointer."""
    equals: field_types.Scalar = None
    """What the answer has to be; one of equals, at_most and at_least."""
    at_most: field_types.Number | None = None
    """What a number may be at most."""
    at_least: field_types.Number | None = None
    """What a number has to be at least."""

    def require_one_question(self) -> None:
        """Raises `field_types.Misfit` unless there is one question with one expectation."""
        if (self.sql is None) == (self.document is None):
            raise field_types.Misfit(("sql",), "either sql, or document with path")
        if (self.document is None) != (self.path is None):
            raise field_types.Misfit(("path",), "document and path together")
        if self.document is not None and not S3_OBJECT.fullmatch(self.document):
            raise field_types.Misfit(
                ("document",), f"s3://BUCKET/KEY ({naming.BUCKET_ALLOWED}); {{scope}} in it is the run's scope"
            )
        if sum(value is not None for value in (self.equals, self.at_most, self.at_least)) != 1:
            raise field_types.Misfit(("equals",), "exactly one of equals, at_most, at_least")

    def address(self, scope: str) -> str:
        """Where the document of a run's scope lies; empty where the question is asked by SQL."""
        return (self.document or "").replace("{scope}", scope)
