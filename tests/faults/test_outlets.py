"""Outlets of a real run: each hears it once, and one that is down changes no verdict."""

import json

import pytest

from tests import event_queue, failing_proxy, fixtures_aws, waiting
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


def test_a_verdict_that_a_killed_controller_did_not_tell_is_told_by_a_resume_and_once(play: stage.Stage) -> None:
    with receiver() as hook, receiver() as other:
        plan = play.plan()
        outlets = {"webhook": [{"url": other.url}, {"url": hook.url}]}
        plan.write_text(json.dumps({**json.loads(plan.read_text()), "outlets": outlets}))

        command, ran = play.begin(plan)
        waiting.until(lambda: hook.asked == 1, seconds=60, what="the start to be told")
        hook.statuses.extend([503] * 20)
        waiting.until(lambda: hook.asked > 1, seconds=60, what="the verdict to be refused")
        command.kill()
        killed = play.verify(ran)
        hook.statuses.clear()
        resumed = [play.burst("resume", ran.folder, "--json") for _ in range(2)]
        verified = play.verify(ran)

    finished = ran.event("run-finished")
    assert finished is not None
    assert json.loads(hook.received[-1].body)["at_utc"] == finished["at"]
    assert [answer.code for answer in resumed] == [0, 0], resumed[0].err
    told = [(got.headers["webhook-id"], json.loads(got.body)["kind"]) for got in hook.received]
    assert told == [(f"{ran.execution_id}-{kind}", kind) for kind in ("started", "verdict")]
    assert {got.headers["webhook-id"] for got in other.received} == {each[0] for each in told}
    assert stage.read_document(ran.folder / "told.json")["outlets"] == ["webhook-1", "webhook-2"]
    assert (killed, verified) == (0, 0)


def test_a_resume_tells_only_the_outlet_that_was_down(play: stage.Stage) -> None:
    with receiver() as hook, receiver(200, 400) as refusing:
        plan = play.plan()
        outlets = {"webhook": [{"url": refusing.url}, {"url": hook.url}]}
        plan.write_text(json.dumps({**json.loads(plan.read_text()), "outlets": outlets}))

        command, ran = play.begin(plan)
        answer = command.wait()
        kept = stage.read_document(ran.folder / "told.json")["outlets"]
        resumed = play.burst("resume", ran.folder, "--json")
        (ran.folder / "told.json").unlink()  # as in a run of an earlier version, of which nobody knows who was told
        unknown = play.burst("resume", ran.folder, "--json")

    assert "outlet webhook was not told: verdict: 127.0.0.1 answered 400" in answer.err
    assert (answer.code, resumed.code, unknown.code, kept) == (0, 0, 0, ["webhook-2"])
    assert [json.loads(got.body)["kind"] for got in refusing.received] == ["started", "verdict"]
    assert [json.loads(got.body)["kind"] for got in hook.received] == ["started", "verdict"]
    assert play.verify(ran) == 0


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
