"""Runs as a controller leaves them, in folders and on S3, for the tests of the consumer's tools."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from burst.domain.basics import canonical
from burst.domain.documents import document_names
from burst.domain.plan import catalogues
from burst.report import html
from tests import cases

SNAPSHOT = document_names.snapshot_name("m10_f", catalogues.Kind.BURST)


def run_id(number: int, group: str = "m10") -> str:
    """An execution id; a higher number is a later one, a day each."""
    return f"{group}_202602{number:02d}T020923Z_{number:06x}"


def case(execution_id: str, *, passing: bool = True, prior: bytes | None = None, **plan_changes: Any) -> cases.Case:
    """A case of one run, whose prior is a whole snapshot where given."""
    if prior is not None:
        plan_changes["rerun"] = cases.rerun("B1", prior_sha256=canonical.digest(prior))
    plan = cases.plan(execution_id=execution_id, **plan_changes)
    counted = cases.counts() if passing else cases.counts(0, 10002)
    made = cases.passing().under(plan)
    made = made.having(
        task_result=cases.task_result(execution_id=execution_id, platform_run_id=plan.scope),
        metrics=cases.metrics(execution_id=execution_id, platform_run_id=plan.scope, counts=counted),
        facts=cases.facts(execution_id=execution_id, platform_run_id=plan.scope),
    )
    return made.having(prior=prior) if prior is not None else made


def published(given: cases.Case) -> dict[str, bytes]:
    """Every document of a run, the snapshot last."""
    verdict = given.verdict()
    return {
        **given.documents(),
        document_names.REPORT: html.render(verdict, given.documents()),
        document_names.snapshot_name(given.plan.slug, given.plan.kind): verdict.content,
    }


def folder(runs: Path, execution_id: str, contents: Mapping[str, bytes]) -> Path:
    """The run folder of these documents."""
    made = runs / execution_id
    made.mkdir(parents=True)
    for name, content in contents.items():
        (made / name).write_bytes(content)
    return made


def on_s3(s3: Any, place: str, contents: Mapping[str, bytes]) -> str:
    """Puts documents under an S3 place, over what is there, as somebody who may write could."""
    bucket, _, prefix = place.removeprefix("s3://").partition("/")
    for name, content in contents.items():
        s3.put_object(Bucket=bucket, Key=f"{prefix}/{name}", Body=content)
    return place


def ref(value: dict[str, Any], name: str) -> dict[str, Any]:
    """The reference to one document in a snapshot."""
    return next(each for each in value["evidence_refs"] if each["name"] == name)


def resealed(contents: Mapping[str, bytes], **changed: bytes) -> dict[str, bytes]:
    """The documents with some changed, and the snapshot naming them by their new digests, as a forger would."""
    value = json.loads(contents[SNAPSHOT])
    for name, content in changed.items():
        ref(value, name).update(size=len(content), sha256=canonical.digest(content))
    return {**contents, **changed, SNAPSHOT: canonical.encode(value)}
