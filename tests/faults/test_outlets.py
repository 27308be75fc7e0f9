"""Outlets of a real run: each hears it once, and one that is down changes no verdict."""

import json

import pytest

from tests import event_queue, failing_proxy, fixtures_aws
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


def test_a_bus_whose_calls_fail_twice_gets_each_message_once_into_the_queue_behind_its_rule(
    play: stage.Stage, cloud: fixtures_aws.Cloud, events: event_queue.EventQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    """burst's own client of EventBridge, a bus with a rule to a queue of SQS, and a proxy that fails before them."""
    answers = [
        *(failing_proxy.BROKEN, failing_proxy.UNAVAILABLE, None),
        *(failing_proxy.THROTTLED, failing_proxy.BROKEN, None),
    ]
    with failing_proxy.start(cloud.world.environment["AWS_ENDPOINT_URL"], answers) as proxy:
        monkeypatch.setenv("AWS_ENDPOINT_URL_EVENTBRIDGE", proxy.url)
        plan = play.plan()
        outlets = {"eventbridge": {"bus": events.bus}}
        plan.write_text(json.dumps({**json.loads(plan.read_text()), "outlets": outlets}))

        command, ran = play.begin(plan)
        answer = command.wait()

    heard = events.read()
    assert answer.code == 0, answer.err
    assert [event["detail-type"] for event in heard] == ["started", "verdict"]
    assert [event["detail"]["execution_id"] for event in heard] == [ran.execution_id] * 2
    assert heard[1]["detail"]["verdict"] == "PASS"
    assert (proxy.failed, proxy.forwarded) == ([500, 503, 400, 500], [200, 200])
    assert "was not told" not in answer.err
