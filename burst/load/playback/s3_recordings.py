"""Recordings on S3: the objects below a prefix, each read as one stream that goes on where a connection broke.

The ETag of the listing pins the content, so that an object which is replaced while it is read is an error, and never
half of each.
"""

import functools
import io
from typing import Any, BinaryIO, cast

import boto3
from botocore import config, exceptions

from burst.load.playback import recordings, records

TRIES = 5
_FAILURES = (exceptions.BotoCoreError, exceptions.ClientError)


def list_objects(source: str) -> list[recordings.RecordedFile]:
    """Every object whose key begins with the prefix of a source `s3://BUCKET/PREFIX`. Raises RecordingError."""
    bucket, _, prefix = source.removeprefix(recordings.S3_SCHEME).partition("/")
    if not bucket:
        raise records.RecordingError(f"{source}: expected s3://BUCKET/PREFIX")
    try:
        pages = list(_client().get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix))
    except _FAILURES as exc:
        raise records.RecordingError(f"{source}: cannot be listed: {_describe(exc)}") from None
    if not all("IsTruncated" in page for page in pages):
        # The page of a proxy, or nothing, with status 200: read as a listing it would end the recording there.
        raise records.RecordingError(
            f"{source}: was answered with what is no listing; look at AWS_ENDPOINT_URL and at proxies"
        )
    entries = [entry for page in pages for entry in page.get("Contents", ())]
    return [_to_file(bucket, entry) for entry in entries if not entry["Key"].endswith("/")]


def _to_file(bucket: str, entry: dict[str, Any]) -> recordings.RecordedFile:
    key = str(entry["Key"])
    return recordings.RecordedFile(
        name=key, place=f"{recordings.S3_SCHEME}{bucket}/{key}", size=int(entry["Size"]), etag=str(entry["ETag"])
    )


def open_object(file: recordings.RecordedFile) -> BinaryIO:
    """The content of one object, buffered; it can be searched, as Parquet needs."""
    return cast(BinaryIO, io.BufferedReader(_ObjectStream(file), buffer_size=1 << 20))


@functools.cache
def _client() -> Any:
    client = boto3.client("s3", config=config.Config(retries={"mode": "standard", "max_attempts": TRIES}))
    client.meta.events.register("before-call.s3.HeadBucket", _follow_no_redirect)
    return client


def _follow_no_redirect(context: dict[str, Any], **_: Any) -> None:
    """Lets botocore's question of where a bucket is, which it asks after a redirect, be the last: it would ask again
    after each further redirect, without end."""
    context.get("s3_redirect", {})["redirected"] = True


def _describe(failure: Exception) -> str:
    if isinstance(failure, exceptions.ClientError):
        error = failure.response.get("Error", {})
        return f"{error.get('Code')}: {error.get('Message')}"
    return str(failure).splitlines()[0]


class _ObjectStream(io.RawIOBase):
    """Asks for the rest of the object from its place on, once, and again after a connection that broke."""

    def __init__(self, file: recordings.RecordedFile) -> None:
        self._file = file
        self._bucket, _, self._key = file.place.removeprefix(recordings.S3_SCHEME).partition("/")
        self._offset = 0
        self._body: Any = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._file.size}[whence]
        if base + offset != self._offset:
            self._drop_body()
            self._offset = base + offset
        return self._offset

    def readinto(self, buffer: Any) -> int:
        if self._offset >= self._file.size:
            return 0
        for last in (False,) * (TRIES - 1) + (True,):
            try:
                chunk = self._ask().read(len(buffer))
                if not chunk:
                    raise exceptions.IncompleteReadError(actual_bytes=self._offset, expected_bytes=self._file.size)
                break
            except _FAILURES as exc:
                self._drop_body()
                changed = "PreconditionFailed" in str(exc) or "412" in str(exc)
                if changed or last:
                    words = "it was replaced while it was read" if changed else f"cannot be read: {_describe(exc)}"
                    raise records.RecordingError(f"{self._file.place} byte {self._offset}: {words}") from None
        buffer[: len(chunk)] = chunk
        self._offset += len(chunk)
        return len(chunk)

    def _ask(self) -> Any:
        if self._body is None:
            answer = _client().get_object(
                Bucket=self._bucket, Key=self._key, Range=f"bytes={self._offset}-", IfMatch=self._file.etag
            )
            self._body = answer["Body"]
        return self._body

    def _drop_body(self) -> None:
        if self._body is not None:
            self._body.close()
            self._body = None

    def close(self) -> None:
        self._drop_body()
        super().close()
