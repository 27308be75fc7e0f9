"""The documents of a roll-up over a lane of each kind, of which some are on HOLD."""

import json
from typing import Any

from burst.domain.basics import canonical
from burst.domain.course import campaign_files
from burst.domain.documents import models, rollup_documents
from burst.domain.verdict import rollups
from tests.evidence import evidencing

KINDS = {"window": "window", "burst": "burst", "drill": "drill", "soak": "soak", "again": "reproducibility"}
FAMILIES: dict[str, list[str]] = {
    "semantic": ["window"],
    "incident_drill": ["drill"],
    "scale": ["burst", "soak"],
    "reproducibility": ["again"],
}


def make_snapshot(lane: str, *, passing: bool) -> bytes:
    """The snapshot of a lane of its kind."""
    value = json.loads(evidencing.case(evidencing.run_id(7), passing=passing).verdict().content)
    value |= {"execution_id": f"m10_{lane}", "kind": KINDS[lane]}
    return canonical.encode(value)


SNAPSHOTS = {(lane, passing): make_snapshot(lane, passing=passing) for lane in KINDS for passing in (True, False)}


CAMPAIGN = campaign_files.freeze(
    campaign_files.parse(
        json.dumps(
            {
                "schema": "burst.campaign/v1",
                "name": "dev_min",
                "environment": "dev",
                "budget": {"max": "1h"},
                "steps": [
                    *({"name": lane, "plan": f"{lane}.yaml"} for lane in KINDS),
                    {"name": "rollup", "rollup": {"phase": "M10.J", "families": FAMILIES}},
                ],
            }
        ),
        source="campaign.yaml",
    )
)
"""The file of the campaign whose phases they are."""


def make_order(held: frozenset[str] = frozenset(), **changes: Any) -> rollup_documents.RollupOrder:
    value: dict[str, Any] = {
        "schema": "burst.rollup-order/v1",
        "execution_id": "m10_20260222T080908Z_4f7a1c",
        "phase": "M10.J",
        "environment": "dev",
        "campaign_id": "dev_min_1",
        "campaign_sha256": canonical.digest(CAMPAIGN),
        "advance": "ADVANCE_CERTIFIED_DEV_MIN",
        "hold": "HOLD",
        "families": FAMILIES,
        "require": list(FAMILIES),
        "lanes": [
            {
                "name": lane,
                "execution_id": f"m10_{lane}",
                "sha256": canonical.digest(SNAPSHOTS[lane, lane not in held]),
                "attempts": 2 if lane == "soak" else 1,
                "lost_to_hold_seconds": 8511 if lane == "soak" else 0,
            }
            for lane in KINDS
        ],
        "budget": {"budget_seconds": 1800, "elapsed_seconds": 1.617, "cost_cap_usd": None, "cost_usd": None},
        "folders": [],
        "verifier": rollups.VERIFIER,
        **changes,
    }
    return models.read(rollup_documents.RollupOrder, canonical.encode(value))


def make_documents(held: frozenset[str] = frozenset(), **changes: Any) -> dict[str, bytes]:
    """The documents of a roll-up over lanes of every kind, of which some are on HOLD."""
    order = make_order(held, **changes)
    contents = {rollup_documents.name_lane(lane): SNAPSHOTS[lane, lane not in held] for lane in KINDS}
    found = rollup_documents.RollupLanes(
        execution_id=order.execution_id,
        lanes=[
            rollup_documents.LaneFinding(
                name=lane,
                state="ok",
                sha256=canonical.digest(SNAPSHOTS[lane, lane not in held]),
                published=True,
                missing_refs=[],
            )
            for lane in KINDS
        ],
    )
    own = {rollup_documents.ORDER: order.content(), rollup_documents.LANES: found.content()}
    return {**own, rollup_documents.CAMPAIGN: CAMPAIGN, **contents}


CONTENTS = make_documents()
"""Those of a roll-up whose lanes all pass."""
