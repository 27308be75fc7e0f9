"""Gate records: the promotions and demotions that a plan names by digest, whole, as a run began with them."""

from collections.abc import Iterable
from typing import Annotated, Literal, Self

import pydantic

from burst.domain.basics import canonical
from burst.domain.documents import models


class GateRecords(models.Model):
    """`gate_records.json`: each record is the value of a document in canonical form, so that its digest can be told."""

    schema_: Annotated[Literal["burst.gate-records/v1"], pydantic.Field(alias="schema")] = "burst.gate-records/v1"
    records: list[dict[str, pydantic.JsonValue]]
    """Each promotion and demotion as it was read, in the order of their digests."""

    @classmethod
    def from_contents(cls, contents: Iterable[bytes]) -> Self:
        """The document of these records, each once, in the order of their digests."""
        by_digest = {canonical.digest(content): content for content in contents}
        return cls(records=[canonical.decode(by_digest[digest]) for digest in sorted(by_digest)])

    @property
    def contents(self) -> dict[str, bytes]:
        """The bytes of each record, by their digest."""
        encoded = [canonical.encode(record) for record in self.records]
        return {canonical.digest(content): content for content in encoded}
