"""What a plan that asks for duplicates or malformed events can still reach: the arithmetic of its gates, before GO.

Each delivery makes one receipt: a new event ADMIT, a repeated one DUPLICATE, a malformed one QUARANTINE. So the best
admit ratio, the best rate of admits and the shares of the receipts follow from the plan alone.
"""

from collections.abc import Iterator

from burst.domain.plan import event_sections, plans
from burst.domain.preflight import findings

CHECK = "events"


def describe_events(events: event_sections.EventsSection) -> str:
    """What the tasks send, in words, and what that means for admit ratio and multiplier."""
    kinds = ", ".join(f"{each.name} {each.weight}" for each in events.templates or ()) or "the reference body"
    if events.new == 1:
        return f"{kinds}; each is new"
    shares = {"new": events.new, "duplicate": events.duplicates, "malformed": events.malformed}
    parts = ", ".join(f"{event_sections.write_share(share)} {name}" for name, share in shares.items() if share)
    return (
        f"{kinds}; of all deliveries {parts}: the admit ratio is at most {float(events.admit_ratio):.6g}, and ADMIT, "
        f"which the multiplier counts, at most {float(events.new):.6g} of what is sent"
    )


def judge_events(plan: plans.Plan) -> findings.Finding:
    """Whether the gates of the plan can pass with the duplicates and malformed events that it asks for."""
    events = plan.load.events
    if events is None:
        return findings.report_pass(CHECK, "the plan asks for no duplicates and no malformed events")
    problems = [*_list_ratios(plan, events), *_list_shares(plan, events)]
    return findings.report_problem(CHECK, "; ".join(problems), describe_events(events))


def _list_ratios(plan: plans.Plan, events: event_sections.EventsSection) -> Iterator[str]:
    best, new, repeated = float(events.admit_ratio), float(events.new), float(events.duplicates)
    limits = {f"admit_ratio@{step}": limit for name, step, limit in plan.gates.step_limits if name == "admit_ratio"}
    for name, limit in {"admit_ratio": plan.gates.admit_ratio, **limits}.items():
        if limit is not None and best < limit:
            yield (
                f"load.events allows an admit ratio of {new:.6g} new / ({new:.6g} new + {repeated:.6g} duplicates) = "
                f"{best:.6g} at most, and gates.{name} requires {limit:g}"
            )


def _list_shares(plan: plans.Plan, events: event_sections.EventsSection) -> Iterator[str]:
    shares = {"ADMIT": events.new, "DUPLICATE": events.duplicates, "QUARANTINE": events.malformed}
    for decision, limit, share in plan.gates.share_limits:
        planned = float(shares[decision])
        if (limit == "at_most" and planned > share) or (limit == "at_least" and planned < share):
            words = f"gates.decision_shares allows {limit.replace('_', ' ')} {share:g}"
            yield f"load.events makes {decision} {planned:.6g} of the receipts, and {words}"
