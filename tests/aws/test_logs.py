"""Log streams of the simulated CloudWatch Logs, read as they fill."""

import time
from collections.abc import Callable
from typing import Any

import pytest

from burst.adapters.aws import log_streams
from burst.domain.basics import errors
from burst.kit import aws
from tests import waiting
from tests.fixtures_aws import Cloud


@pytest.fixture
def put(cloud: Cloud) -> Callable[..., None]:
    """Puts messages into the stream `counter/counter/1` of the test's own group."""
    client: Any = aws.client("logs")
    client.create_log_group(logGroupName=cloud.name)
    client.create_log_stream(logGroupName=cloud.name, logStreamName="counter/counter/1")

    def put(*messages: str, earlier_seconds: float = 0.0) -> None:
        at = round((time.time() - earlier_seconds) * 1000)
        events = [{"timestamp": at, "message": message} for message in messages]
        client.put_log_events(logGroupName=cloud.name, logStreamName="counter/counter/1", logEvents=events)

    return put


def test_each_reading_gives_what_came_since_the_last_and_an_empty_one_is_not_the_end(
    cloud: Cloud, put: Callable[..., None]
) -> None:
    stream = log_streams.LogStream(cloud.name, "counter/counter/1")

    first = list(stream.read())
    put("a", "b")
    second = list(stream.read())
    third = list(stream.read())
    put("c")
    fourth = list(stream.read())

    assert (first, second, third, fourth) == ([], ["a", "b"], [], ["c"])


def test_reading_again_gives_what_arrived_late_and_stands_before_what_was_read(
    cloud: Cloud, put: Callable[..., None]
) -> None:
    stream = log_streams.LogStream(cloud.name, "counter/counter/1")
    put("first")
    put("read")
    stream.read()
    put("earlier", earlier_seconds=60)

    assert sorted(stream.read(again=True)) == ["earlier", "first", "read"]


def test_a_long_stream_is_read_page_by_page(cloud: Cloud, put: Callable[..., None]) -> None:
    for batch in range(3):
        put(*(f"{batch}-{index}" for index in range(5000)))

    assert len(log_streams.LogStream(cloud.name, "counter/counter/1").read()) == 15_000


def test_a_stream_that_is_not_there_yet_has_nothing(cloud: Cloud) -> None:
    assert list(log_streams.LogStream(cloud.name, "counter/counter/none").read()) == []


def test_logs_that_do_not_answer_are_unavailable(cloud: Cloud, put: Callable[..., None]) -> None:
    put("a")
    stream = log_streams.LogStream(cloud.name, "counter/counter/1")
    cloud.world.faults.arm("all-aws-down")
    try:
        with pytest.raises(errors.Unavailable):
            stream.read()
    finally:
        cloud.world.faults.disarm("all-aws-down")

    assert waiting.until(stream.read, seconds=10, what="the log") == ["a"]
