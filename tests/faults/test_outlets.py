"""Outlets of a real run: each hears it once, and one that is down changes no verdict."""

import json

from tests.faults import stage
from tests.receiving import receiver


def test_a_webhook_that_fails_twice_hears_each_message_once_and_a_collector_that_is_down_is_said(
    play: stage.Stage,
) -> None:
    with receiver() as gone:
        nobody = gone.url
    with receiver(500, 503) as hook:
        outlets = {"webhook": [{"url": hook.url}], "otlp": {"endpoint": nobody}, "openmetrics": "burst.prom"}
        outlets["openmetrics"] = str(play.folder / "metrics" / "burst.prom")
        plan = play.plan()
        plan.write_text(json.dumps({**json.loads(plan.read_text()), "outlets": outlets}))

        command, ran = play.begin(plan)
        answer = command.wait()

        heard = [json.loads(got.body) for got in hook.received]

    assert answer.code == 0, answer.err
    assert [message["kind"] for message in heard] == ["started", "verdict"]
    assert {message["execution_id"] for message in heard} == {ran.execution_id}
    assert heard[1]["verdict"] == "PASS"
    assert hook.asked == 4
    assert "outlet otlp was not told: verdict: " in answer.err
    assert "the verdict does not depend on it" in answer.err
    assert "burst_passed" in (play.folder / "metrics" / "burst.prom").read_text()
