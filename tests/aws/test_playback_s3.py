"""Recordings on S3: listed, read in order, gone on with after a broken connection, and pinned to what was listed."""

import functools
import gzip
import http.server
import json
from typing import Any

import pytest
from botocore import exceptions

from burst.load.playback import progress, recordings, records, s3_recordings, shard_records
from tests import fixtures_aws, loopback_server

ROWS = [{"account": f"a{number % 5}", "number": number} for number in range(4000)]


def _lines(first: int, last: int) -> bytes:
    return "".join(json.dumps(row) + "\n" for row in ROWS[first:last]).encode()


@pytest.fixture
def source(cloud: fixtures_aws.Cloud, monkeypatch: pytest.MonkeyPatch) -> str:
    """A prefix with two parts of a recording, a marker and a folder of the console's."""
    s3_recordings._client.cache_clear()
    prefix = f"{cloud.name}/recorded"
    for key, body in (
        ("b.jsonl", _lines(2000, 4000)),
        ("a.jsonl.gz", gzip.compress(_lines(0, 2000))),
        ("_SUCCESS", b""),
        ("", b""),
    ):
        cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{prefix}/{key}", Body=body)
    return f"s3://{fixtures_aws.BUCKET}/{prefix}/"


def _read(source: str, checkpoint: progress.Checkpoint | None = None) -> list[records.Record]:
    shard = shard_records.ShardReading(
        files=recordings.list_files(source), key="account", at=None, shard_index=0, shard_count=1
    )
    return [record for record in shard.read_from(checkpoint or progress.Checkpoint()) if record is not None]


def test_a_prefix_is_read_in_the_order_of_its_keys_and_from_any_record_on(source: str) -> None:
    found = _read(source)

    assert [json.loads(record.raw)["number"] for record in found] == list(range(4000))
    assert _read(source, progress.Checkpoint(low_water=1234, last=found[1233].mark)) == found[1234:]


@pytest.mark.parametrize("given", ["_raw/.day/", "_raw/.day/_r", "_raw/.day/_r/"])
def test_a_name_that_the_source_begins_itself_is_no_marker(given: str, cloud: fixtures_aws.Cloud, source: str) -> None:
    for key in ("_r/a.jsonl", "_r/_SUCCESS.jsonl"):
        cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/_raw/.day/{key}", Body=_lines(0, 5))
    place = f"s3://{fixtures_aws.BUCKET}/{cloud.name}/{given}"
    if given.endswith("day/"):
        with pytest.raises(records.RecordingError, match="no recorded file there"):
            recordings.list_files(place)
        return

    assert [file.name.rpartition("/")[2] for file in recordings.list_files(place)] == ["a.jsonl"]


def test_a_replaced_object_of_the_same_size_is_another_recording(source: str, cloud: fixtures_aws.Cloud) -> None:
    first = recordings.describe(recordings.list_files(source), key="account", shard_count=1)
    changed = _lines(2000, 4000).replace(b"3999", b"3998")
    cloud.s3.put_object(Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/recorded/b.jsonl", Body=changed)

    assert recordings.describe(recordings.list_files(source), key="account", shard_count=1) != first


def test_a_page_that_is_no_listing_is_no_end_of_the_recording(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    client = s3_recordings._client()
    list_page = client.list_objects_v2
    asked: list[Any] = []

    def break_off(**parameters: Any) -> Any:
        asked.append(parameters)
        return list_page(MaxKeys=3, **parameters) if len(asked) == 1 else {}

    monkeypatch.setattr(client, "list_objects_v2", break_off)

    with pytest.raises(records.RecordingError, match="no listing"):
        recordings.list_files(source)


class _Redirecting(http.server.BaseHTTPRequestHandler):
    """A proxy that sends everybody elsewhere."""

    def do_GET(self) -> None:
        self.send_response(301)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_HEAD(self) -> None:
        self.do_GET()

    def log_message(self, *_: object) -> None:
        pass


def test_a_redirect_without_end_is_an_error_of_the_recording(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3_recordings, "_client", functools.cache(s3_recordings._client.__wrapped__))
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "none")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with loopback_server.run(http.server.ThreadingHTTPServer(("127.0.0.1", 0), _Redirecting)) as server:
        for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
            monkeypatch.setenv(name, loopback_server.find_url(server))

        with pytest.raises(records.RecordingError, match="cannot be listed: 301"):
            s3_recordings.list_objects("s3://evidence/recorded/")


def test_a_connection_that_breaks_is_made_again_at_its_place(source: str, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []
    client = s3_recordings._client()
    get_object = client.get_object

    def break_after(**parameters: Any) -> Any:
        asked.append(parameters["Range"])
        answer = get_object(**parameters)
        if len(asked) in (1, 2):
            answer["Body"] = _BreakingBody(answer["Body"], 100)
        return answer

    monkeypatch.setattr(client, "get_object", break_after)

    assert len(_read(source)) == 4000
    assert asked[:3] == ["bytes=0-", "bytes=100-", "bytes=200-"]


class _BreakingBody:
    def __init__(self, body: Any, left: int) -> None:
        self._body, self._left = body, left

    def read(self, size: int) -> bytes:
        if not self._left:
            raise exceptions.ReadTimeoutError(endpoint_url="s3")
        content: bytes = self._body.read(min(size, self._left))
        self._left -= len(content)
        return content

    def close(self) -> None:
        self._body.close()


def test_an_object_that_is_replaced_while_it_is_read_is_an_error(source: str, cloud: fixtures_aws.Cloud) -> None:
    files = recordings.list_files(source)
    cloud.s3.put_object(
        Bucket=fixtures_aws.BUCKET, Key=f"{cloud.name}/recorded/b.jsonl", Body=b'{"account": "other"}\n' * 9000
    )

    with pytest.raises(records.RecordingError, match="it was replaced while it was read"):
        list(recordings.read_rows(files[1]))


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("s3://no-such-bucket-there/x", "cannot be listed: NoSuchBucket"),
        (f"s3://{fixtures_aws.BUCKET}/nothing-here/", "no recorded file there; allowed are"),
    ],
)
def test_a_place_without_a_recording_is_an_error(place: str, words: str, source: str) -> None:
    with pytest.raises(records.RecordingError, match=words):
        recordings.list_files(place)
