"""Hotspots: what got slower comes first, whether it is a rate or a latency, and a CSV is safe to open."""

import csv
import io
from typing import Any

import pytest

from burst.domain.basics import errors
from burst.domain.closure import compared_runs, hotspot_ranking
from burst.domain.documents import document_names, models, window_metrics
from burst.domain.plan import plans
from tests import cases, closing


def _make_run(
    buckets: list[int] | None = None, endpoints: dict[str, int] | None = None, plan: plans.Plan | None = None
) -> compared_runs.ComparedRun:
    """A run whose buckets of a minute have so many admits, and whose endpoints took so many milliseconds."""
    plan = plan or cases.plan()
    documents: dict[str, bytes] = {}
    if buckets is not None:
        entries = [
            {**cases.window(60.0 + 60 * number, 60.0), "counts": cases.counts(admits)}
            for number, admits in enumerate(buckets)
        ]
        value = cases.metrics(buckets=entries, window=cases.window(60.0, 60.0 * len(buckets)))
        documents[document_names.metrics_name(plan.slug)] = models.read(
            window_metrics.Metrics, cases.content(value)
        ).content()
    if endpoints is not None:
        requests: list[dict[str, Any]] = [
            {
                "name": name, "acknowledged": 100, "refused": {}, "failed": {},
                "latency": [{"up_to_us": ms * 1000, "count": 100}],
            }
            for name, ms in endpoints.items()
        ]  # fmt: skip
        documents[document_names.load_name(plan.slug)] = cases.content({**cases.load(), "requests": requests})
    return compared_runs.ComparedRun(source="run", name="s.json", sha256="0" * 64, documents=documents, plan=plan)


def _rank(
    run: compared_runs.ComparedRun, base: compared_runs.ComparedRun | None = None
) -> list[hotspot_ranking.Hotspot]:
    return hotspot_ranking.rank(hotspot_ranking.list_figures(run), hotspot_ranking.list_figures(base) if base else None)


def test_what_got_slower_comes_first() -> None:
    base = _make_run([1200, 1200], {"push": 100, "status": 40})
    run = _make_run([1200, 900], {"push": 250, "status": 40})

    spots = _rank(run, base)

    assert [(spot.kind, spot.key) for spot in spots[:2]] == [("endpoint", "push"), ("bucket", "+60s")]
    assert spots[0].slower_by == pytest.approx(0.6)
    assert spots[1].slower_by == pytest.approx(0.25)
    assert [spot.slower_by for spot in spots] == sorted((spot.slower_by or 0 for spot in spots), reverse=True)


def test_without_a_base_the_median_of_its_kind_is() -> None:
    spots = _rank(_make_run([1200, 1200, 0]))

    assert (spots[0].key, spots[0].slower_by) == ("+120s", 1.0)


def test_a_key_of_one_run_alone_is_said_and_comes_last() -> None:
    spots = _rank(_make_run(endpoints={"push": 100, "new": 10}), _make_run(endpoints={"push": 100, "old": 10}))

    states = {spot.key: spot.state for spot in spots if spot.kind == "endpoint"}
    assert states == {"push": "compared", "new": "new", "old": "gone"}
    assert {spot.key for spot in spots[-2:]} == {"new", "old"}


def test_tasks_are_told_by_their_answers() -> None:
    keys = {(spot.kind, spot.key, spot.measure) for spot in _rank(_make_run(endpoints={"push": 100}))}

    assert ("task", "shard-0", "acknowledged") in keys


def test_a_csv_holds_no_formula() -> None:
    spots = _rank(_make_run(endpoints={"=cmd()": 300, "+cmd()": 200, "-cmd()": 150, "push": 100}))

    rows = list(csv.reader(io.StringIO(hotspot_ranking.write_csv(spots).decode())))
    assert tuple(rows[0]) == hotspot_ranking.HEAD
    assert {row[1] for row in rows if row[0] == "endpoint"} == {"'=cmd()", "'+cmd()", "'-cmd()", "push"}


def test_a_run_without_figures_has_no_hotspots() -> None:
    with pytest.raises(errors.EvidenceIncomplete, match="neither counts by bucket nor a load account"):
        hotspot_ranking.list_figures(_make_run())


def test_a_file_is_no_run() -> None:
    with pytest.raises(errors.UsageError, match="is no run"):
        hotspot_ranking.list_figures(closing.make_file(closing.GOOD))
