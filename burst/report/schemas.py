"""JSON Schemas of every document, made from the models that read them, so that they cannot drift apart."""

from typing import Any

import pydantic

from burst.domain import baseline, documents, plan, snapshot

DIALECT = "https://json-schema.org/draft/2020-12/schema"


class JournalLine(documents.Model):
    """One line of `journal.jsonl`. Each event adds fields of its own."""

    model_config = pydantic.ConfigDict(extra="allow")

    sequence: int = pydantic.Field(ge=1)
    at: documents.Instant
    event: str


_MODELS: dict[str, type[pydantic.BaseModel]] = {
    "plan": plan.Plan,
    "snapshot": snapshot.Snapshot,
    "metrics": documents.Metrics,
    "task-result": documents.TaskResult,
    "facts": documents.Facts,
    "baseline": baseline.Document,
    "journal": JournalLine,
}


def of(kind: str) -> dict[str, Any]:
    """The JSON Schema of one kind of document. `schema` is required wherever a document has it."""
    made = _MODELS[kind].model_json_schema(by_alias=True)
    if "schema" in made["properties"]:
        made["required"] = sorted({*made.get("required", []), "schema"})
    return {"$schema": DIALECT, "$id": f"urn:burst:schema:{kind}:v1", **made}
