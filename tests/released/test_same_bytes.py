"""A released snapshot is what this version makes of its documents: the same bytes, where no sentence has changed."""

from pathlib import Path

import pytest

from burst.domain.documents import document_names
from burst.domain.plan import plans
from burst.domain.verdict import snapshots
from tests.released.test_released import RUNS, _name, _slug


@pytest.mark.parametrize("run", RUNS, ids=_name)
def test_released_documents_give_the_released_bytes(run: Path) -> None:
    contents = {path.name: path.read_bytes() for path in run.iterdir()}
    released = snapshots.Verdict.read(contents[document_names.snapshot_name(_slug(run))])
    plan = plans.parse(contents[document_names.PLAN].decode(), source=document_names.PLAN)

    again = snapshots.adjudicate_again(released.snapshot, plan, contents[document_names.PLAN], contents)

    assert again.content == released.content
