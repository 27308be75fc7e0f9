"""Cost: tasks' size, prices and seconds to dollars, erring to too much."""

import pytest

from burst.domain.preflight import judgements
from burst.domain.tasks import costs
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


def test_a_region_that_is_not_listed_is_reckoned_at_the_dearest_and_says_so() -> None:
    unlisted = costs.price_in("mars-north-1")

    assert unlisted.vcpu_hour_usd == max(costs.price_in(name).vcpu_hour_usd for name in ("us-east-1", "sa-east-1"))
    assert "mars-north-1 is not listed" in unlisted.source
    assert costs.PRICED_ON in costs.price_in("us-east-1").source


@pytest.mark.parametrize(("cap", "status"), [(None, "passed"), (0.0274, "passed"), (0.0272, "refused")])
def test_the_cost_at_the_operator_cap_and_grace_is_held_against_the_plans_cap(cap: float | None, status: str) -> None:
    budget = {"max": "90m", "operator_cap": "20m", "min_window": "15m", "stop_grace": "30s"}
    price = {"vcpu_hour_usd": 0.03, "gb_hour_usd": 0.005}
    plan = cases.plan(
        target={**ECS, "price": price},
        budget={**budget, **({"cost_cap_usd": cap} if cap else {})},
        evidence={"run_control": "s3://bucket/rc"},
    )

    finding = judgements.judge_cost(plan, SMALL, "us-east-1")

    assert finding.status == status
    assert finding.details["at_cap_usd"] == pytest.approx(8 * 1230 / 3600 * (0.25 * 0.03 + 0.5 * 0.005))
    assert "target.price of the plan" in finding.seen


@pytest.mark.parametrize(("cap", "status"), [(5.0, "refused"), (None, "warning")])
def test_a_size_nobody_knows_refuses_where_there_is_a_cap_to_hold(cap: float | None, status: str) -> None:
    budget = {"max": "90m", "min_window": "15m", **({"cost_cap_usd": cap} if cap else {})}
    plan = cases.plan(target=ECS, budget=budget, evidence={"run_control": "s3://bucket/rc"})

    assert judgements.judge_cost(plan, None, "us-east-1").status == status
