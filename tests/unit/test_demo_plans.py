"""The plans of the demo: their rates follow from what the machine reaches, and the burst has room to lose half."""

from pathlib import Path

import pytest

from burst.domain.plan import plans
from burst.sandbox import demo_campaigns, demo_plans

PLACES = demo_plans.DemoPlaces(host="http://127.0.0.1:8080", locustfile=Path("ingest.py"), runs=Path("runs"))


@pytest.mark.parametrize(
    ("reached", "baseline", "carried"),
    [
        (1_000_000.0, 4500.0, True),
        (54_000.0, 4500.0, True),
        (7_400.0, 617.0, True),
        (2_880.0, 240.0, True),
        (1_440.0, 240.0, True),
        (1_439.0, 240.0, False),
        (0.0, 240.0, False),
    ],
)
def test_a_demo_asks_for_half_of_what_the_machine_reaches(reached: float, baseline: float, carried: bool) -> None:
    assert demo_plans.DEMO_RATES.choose(reached) == baseline
    assert demo_plans.DEMO_RATES.can_carry(reached) is carried


@pytest.mark.parametrize(("reached", "rate"), [(1_000_000.0, 6000.0), (8_640.0, 2000.0), (0.0, 600.0)])
def test_the_plans_of_a_campaign_have_the_rate_that_the_machine_carries(
    tmp_path: Path, reached: float, rate: float
) -> None:
    demo_campaigns.write_campaign(PLACES, tmp_path, demo_campaigns.RATES.choose(reached))

    written = {
        path.stem: plans.parse(path.read_text(), source=path.name)
        for path in tmp_path.glob("*.yaml")
        if path.stem != "campaign"
    }
    assert {name: plan.load.rate for name, plan in written.items() if name != "burst"} == dict.fromkeys(
        ("window", "soak", "recovery", "again"), rate
    )
    assert written["burst"].load.rate == "auto"
    assert 0 < (written["window"].gates.min_admits or 0) <= rate / 60 * demo_campaigns.WINDOW_SECONDS / 2


def test_a_burst_sends_twice_what_it_has_to_reach_and_half_of_that_load_is_enough(tmp_path: Path) -> None:
    reference = plans.parse(demo_plans.render_baseline_plan(PLACES, 600.0, window_seconds=20), source="reference")
    burst = plans.parse(demo_plans.render_burst_plan(PLACES, tmp_path / "b.json", window_seconds=30), source="burst")

    assert (reference.load.rate, reference.gates.offered_load) == (600.0, 0.5)
    assert (burst.load.rate, burst.load.headroom, burst.gates.multiplier) == ("auto", 2.0, 3.0)
    assert burst.gates.least_offered == 0.5
    assert burst.budget.start_timeout == 90.0
