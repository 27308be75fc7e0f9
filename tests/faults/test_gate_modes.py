"""Real runs under gate modes: informational, then promoted, informational again without a word, and by a demotion."""

import json
from pathlib import Path

from burst.domain.basics import canonical
from burst.domain.documents import document_names
from burst.domain.verdict import promotions
from tests import cases, promoting
from tests.faults import stage

PROMOTION = promoting.judge_block(promoting.STEADY).content()
DEMOTION = promotions.make_demotion(PROMOTION, "the gateway was replaced", cases.STARTED).content()
UNREACHABLE_MS = 0.001


def plan(play: stage.Stage, mode: cases.Value, *records: bytes) -> Path:
    """A plan whose limit on latency nothing reaches, with a mode."""
    files = [play.folder / f"{canonical.digest(record)[:8]}.json" for record in records]
    for file, record in zip(files, records, strict=True):
        file.write_bytes(record)
    gates = {"latency_p95_ms": UNREACHABLE_MS, "modes": {"latency_p95_ms": mode}}
    named = {"records": [str(file) for file in files]} if files else {}
    return play.plan({**stage.UNHURRIED, "gates": {**gates, **named}})


def test_a_gate_is_informational_until_it_was_promoted_and_again_by_a_demotion_alone(play: stage.Stage) -> None:
    modes: tuple[tuple[cases.Value, tuple[bytes, ...], int, list[str]], ...] = (
        ({"mode": "informational"}, (), 0, []),
        ({"mode": "required", "promoted_by": canonical.digest(PROMOTION)}, (PROMOTION,), 3, ["M10F-B1"]),
        ({"mode": "informational"}, (), 3, ["M10F-B4"]),
        ({"mode": "informational", "demoted_by": canonical.digest(DEMOTION)}, (DEMOTION,), 0, []),
    )

    for mode, records, code, opened in modes:
        command, ran = play.begin(plan(play, mode, *records))
        answer = command.wait()
        snapshot = json.loads((ran.folder / promoting.SNAPSHOT).read_bytes())

        assert (answer.code, snapshot["blockers"]) == (code, opened), answer.err
        assert (ran.folder / document_names.GATE_RECORDS).is_file() is bool(records)
        assert play.burst("verify", ran.folder).code == code
    assert "was required by promotion" not in answer.err
    assert (
        snapshot["exit_reason"].endswith("informational: latency_p95_ms INVALID") or "FAIL" in snapshot["exit_reason"]
    )


def test_a_promotion_that_is_not_the_one_named_is_refused_before_anything_is_launched(play: stage.Stage) -> None:
    refused = play.burst("run", plan(play, {"mode": "required", "promoted_by": "0" * 64}, PROMOTION))

    assert refused.code == 4
    assert "M10F-B4: gates.modes: latency_p95_ms: promotion 000000000000 is not among the records" in refused.err
    assert not play.runs.exists()
