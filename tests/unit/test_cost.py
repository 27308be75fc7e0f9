"""Cost: tasks' size, prices and seconds to dollars, erring to too much."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from burst.domain.preflight import judgements
from burst.domain.tasks import costs, ecs_definitions, worst_ends
from burst.domain.verdict import snapshot_sections
from burst.report import figures
from tests import cases

SMALL = costs.Size(vcpu=0.25, memory_gb=0.5)
PRICE = costs.Price(vcpu_hour_usd=0.04, gb_hour_usd=0.004, source="made up")
ECS = {
    "kind": "ecs",
    "tasks": 8,
    "cluster": "c",
    "task_definition": "t:1",
    "subnets": ["subnet-a"],
    "security_groups": ["sg-a"],
}


def test_a_task_costs_its_vcpu_and_memory_by_the_hour() -> None:
    assert costs.usd(costs.Size(vcpu=2, memory_gb=4), PRICE, [3600.0]) == pytest.approx(2 * 0.04 + 4 * 0.004)
    assert costs.usd(SMALL, PRICE, [3600.0, 1800.0]) == pytest.approx(1.5 * (0.25 * 0.04 + 0.5 * 0.004))


def test_a_minute_is_billed_at_least() -> None:
    assert costs.usd(SMALL, PRICE, [1.0]) == costs.usd(SMALL, PRICE, [60.0])


def test_no_tasks_cost_nothing() -> None:
    assert costs.usd(SMALL, PRICE, []) == 0.0


def test_a_region_without_a_price_is_reckoned_at_the_dearest_and_called_an_assumption() -> None:
    unlisted = costs.price_in("mars-north-1")

    assert unlisted.vcpu_hour_usd == max(costs.price_in(name).vcpu_hour_usd for name in ("us-east-1", "sa-east-1"))
    assert unlisted.source.startswith("assumed: burst has no price of mars-north-1")
    assert costs.PRICED_ON in costs.price_in("us-east-1").source


def test_london_has_its_own_price() -> None:
    london = costs.price_in("eu-west-2")

    assert (london.vcpu_hour_usd, london.gb_hour_usd) == (0.04656, 0.00511)
    assert london.source.startswith("list price of eu-west-2")


def definition(size: costs.Size | None, *, sidecar_stop_seconds: float = 2.0) -> ecs_definitions.Definition:
    return ecs_definitions.Definition(
        arn="arn:t:1",
        container="burst",
        guarded=True,
        sidecar=True,
        stop_timeouts=(("burst", 31.0), ("lifespan", sidecar_stop_seconds)),
        secrets=frozenset(),
        size=size,
    )


@pytest.mark.parametrize(("cap", "status"), [(None, "passed"), (0.0288, "passed"), (0.0286, "refused")])
def test_the_cost_at_the_operator_cap_with_the_slowest_stop_is_held_against_the_plans_cap(
    cap: float | None, status: str
) -> None:
    budget = {"max": "90m", "operator_cap": "20m", "min_window": "15m", "stop_grace": "30s"}
    price = {"vcpu_hour_usd": 0.03, "gb_hour_usd": 0.005}
    plan = cases.plan(
        target={**ECS, "price": price},
        budget={**budget, **({"cost_cap_usd": cap} if cap else {})},
        evidence={"run_control": "s3://bucket/rc"},
    )

    finding = judgements.judge_cost(plan, definition(SMALL), "us-east-1")

    assert finding.status == status
    assert finding.details["at_cap_usd"] == pytest.approx((8 * 1286 + 60) / 3600 * (0.25 * 0.03 + 0.5 * 0.005))
    assert "target.price of the plan" in finding.seen


@pytest.mark.parametrize(("cap", "status"), [(5.0, "refused"), (None, "warning")])
def test_a_size_nobody_knows_refuses_where_there_is_a_cap_to_hold(cap: float | None, status: str) -> None:
    budget = {"max": "90m", "min_window": "15m", **({"cost_cap_usd": cap} if cap else {})}
    plan = cases.plan(target=ECS, budget=budget, evidence={"run_control": "s3://bucket/rc"})

    assert judgements.judge_cost(plan, definition(None), "us-east-1").status == status


@given(
    started_after=st.floats(0.0, 600.0),
    grace=st.floats(1.0, 60.0),
    stop_timeout=st.floats(2.0, 120.0),
    share=st.floats(0.0, 1.0),
)
def test_tasks_that_their_guard_or_sidecar_ended_never_cost_more_than_was_said_at_most(
    started_after: float, grace: float, stop_timeout: float, share: float
) -> None:
    """A sidecar counts from its own start, so a task that starts late ends late."""
    cap = 1200.0
    ends = worst_ends.list_ends(
        ("guard", "sidecar"),
        worst_ends.EndTimes(grace_seconds=grace, lease_ttl_seconds=30.0, beat_seen_seconds=6.0, look_seconds=5.0),
        worst_ends.FargateTimes(
            tasks=2, cap_seconds=cap, start_timeout_seconds=started_after, stop_timeout_seconds=stop_timeout
        ),
    )
    ran_seconds = [cap + end.seconds * share - started_after + worst_ends.TEARDOWN_SECONDS for end in ends]
    most_seconds = worst_ends.billed_seconds(cap, grace, stop_timeout)

    assert costs.usd(SMALL, PRICE, ran_seconds) <= costs.usd(SMALL, PRICE, [most_seconds] * 2)


def test_an_estimate_over_the_most_is_not_called_less_than_it() -> None:
    def words(estimated: float | None) -> str:
        return figures.cost(
            snapshot_sections.Cost(estimated_usd=estimated, at_cap_usd=0.001, cost_cap_usd=None, price_source="p")
        )

    assert words(0.0011) == "0.0011 USD estimated, more than the 0.0010 USD of a stop that works"
    assert words(0.001) == "0.0010 USD estimated, 0.0010 USD at most"
    assert words(None) == "unknown estimated, 0.0010 USD at most"
