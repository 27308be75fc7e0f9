"""The example load profiles of `locustfiles/`, each run here without its web page and with it, on real systems."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
import psycopg
import pytest

from tests import fixtures_aws, fixtures_ingest, waiting
from tests.sandbox import locust_page

ROOT = Path(__file__).parents[2]
EXAMPLES = ("http_ingest", "journeys", "playback", "postgres_copy", "queue_send")
USUAL_SECONDS = 60.0
LEAST_REQUESTS = 5

examples = pytest.mark.parametrize("example", EXAMPLES)


@pytest.fixture(scope="module")
def queue(simulated_aws: fixtures_aws.Shared) -> str:
    """The URL of a queue of this module's own."""
    with fixtures_aws.operating(simulated_aws.world):
        return str(boto3.client("sqs").create_queue(QueueName=f"orders-{uuid.uuid4().hex[:8]}")["QueueUrl"])


@pytest.fixture
def variables(
    ingest: fixtures_ingest.Site, simulated_aws: fixtures_aws.Shared, queue: str, tmp_path: Path
) -> dict[str, str]:
    """What the examples read from the environment, with a scope of this test's own."""
    scope = f"platform_{uuid.uuid4().hex}"
    recording = tmp_path / "recording.jsonl"
    recording.write_text("".join(json.dumps(make_record(scope, number)) + "\n" for number in range(2000)))
    own = {"IG_API_KEY": ingest.api_key, "BURST_HOST": ingest.host, "COPY_DSN": ingest.dsn, "QUEUE_URL": queue}
    played = {"BURST_PLAYBACK": json.dumps({"source": str(recording), "key": "event_type"})}
    load = {"BURST_SCOPE": scope, "BURST_RATE_PER_MINUTE": "20/s"}
    return {**os.environ, **simulated_aws.world.environment, **own, **played, **load}


def make_record(scope: str, number: int) -> dict[str, Any]:
    """A recorded event, one of several kinds."""
    kind = {"event_type": f"kind-{number % 7}", "event_class": "traffic"}
    return {"event_id": f"{scope}-{number}", "platform_run_id": scope, "payload": {"number": number}, **kind}


@contextlib.contextmanager
def start(example: str, variables: dict[str, str], *words: str) -> Iterator["subprocess.Popen[str]"]:
    """`burst locust` on an example, which is ended after the block."""
    command = [sys.executable, "-m", "burst", "locust", f"locustfiles/{example}.py", "--json", "--budget", "60s"]
    process = subprocess.Popen(
        [*command, *words],
        env=variables, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    try:
        yield process
    finally:
        process.terminate()
        process.communicate()


def end(process: "subprocess.Popen[str]") -> tuple[int, dict[str, Any], str]:
    out, err = process.communicate(timeout=USUAL_SECONDS)
    return process.returncode, json.loads(out) if out else {}, err


def see_arrived(ingest: fixtures_ingest.Site, variables: dict[str, str], example: str) -> int:
    """How much of the load of an example is where it was sent."""
    if example == "queue_send":
        names = {name: variables[name] for name in variables if name.startswith("AWS_")}
        with pytest.MonkeyPatch.context() as patch:
            for name, value in names.items():
                patch.setenv(name, value)
            asked = boto3.client("sqs").get_queue_attributes(
                QueueUrl=variables["QUEUE_URL"], AttributeNames=["ApproximateNumberOfMessages"]
            )
        return int(asked["Attributes"]["ApproximateNumberOfMessages"])
    query = "SELECT count(*) FROM receipts WHERE platform_run_id = %s AND decision = 'ADMIT'"
    with psycopg.connect(ingest.dsn) as connection:
        (number,) = connection.execute(query, (variables["BURST_SCOPE"],)).fetchone() or (0,)
    return int(number)


@examples
def test_an_example_runs_without_a_page_and_all_its_requests_are_answered(
    example: str, variables: dict[str, str], ingest: fixtures_ingest.Site
) -> None:
    before = see_arrived(ingest, variables, example)
    with start(example, variables, "--users", "4", "--", "-t", "8s") as process:
        code, document, err = end(process)

    assert (code, document["faults"]) == (0, []), err
    assert document["total"]["requests"] >= LEAST_REQUESTS
    assert document["total"]["p95_ms"] > 0
    scheduled = document["schedule"] is not None
    assert scheduled == (example != "journeys")
    arrived = see_arrived(ingest, variables, example) - before
    assert arrived >= LEAST_REQUESTS
    if example == "postgres_copy":
        assert arrived >= 10 * document["total"]["acknowledged"]


@examples
def test_an_example_runs_from_its_page_and_ctrl_c_ends_it(example: str, variables: dict[str, str]) -> None:
    page = locust_page.open_page()
    with start(example, variables, "--web", "--web-port", str(page.port)) as process:
        page.wait()
        page.start(host=variables["BURST_HOST"])
        shown = page.wait_for_requests(LEAST_REQUESTS)
        process.send_signal(signal.SIGINT)
        code, document, err = end(process)

    assert shown["fail_ratio"] == 0, shown["errors"]
    assert code == 130, err
    assert document["total"]["requests"] >= LEAST_REQUESTS
    waiting.until(lambda: page.is_closed(), what="the page to be gone")


def test_no_example_is_longer_than_forty_lines() -> None:
    lengths = {path.name: len(path.read_text().splitlines()) for path in (ROOT / "locustfiles").glob("*.py")}

    assert {f"{example}.py" for example in EXAMPLES} <= lengths.keys()
    assert [name for name, length in lengths.items() if length > 40] == []
