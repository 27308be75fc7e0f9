"""The halt of the runs under one run control on S3: the object `halt.json` directly under its prefix.

`If-None-Match: *` lets the first writer win, `If-Match` removes only what was read. A client waits only briefly for
each answer, as that of the lease does: a controller asks with every heartbeat.
"""

import re
import threading
import urllib.parse
from typing import Any

from burst.domain.basics import errors, naming
from burst.domain.documents import document_names, halts, models
from burst.kit import aws

CONNECT_SECONDS = 2.0
READ_SECONDS = 3.0
_PLACE = re.compile(rf"s3://{naming.BUCKET}/[^\s?#]+")
ATTEMPTS = 3
"""How often the halt is put, or removed, while answers are lost."""


class S3HaltSwitch:
    """`ports.HaltSwitch` under `run_control`, `s3://BUCKET/PREFIX`; without `client` it makes its own at the first
    call."""

    def __init__(self, run_control: str, *, client: Any | None = None) -> None:
        if not _PLACE.fullmatch(run_control):
            raise errors.UsageError(
                f"run control {run_control!r}: allowed is s3://BUCKET/PREFIX ({naming.BUCKET_ALLOWED})"
            )
        self.address = f"{run_control.rstrip('/')}/{document_names.HALT}"
        parts = urllib.parse.urlsplit(self.address)
        self._object = {"Bucket": parts.netloc, "Key": parts.path.lstrip("/")}
        self._client = client
        self._client_lock = threading.Lock()

    def read(self) -> halts.Halt | None:
        """The halt in the object, None where there is no object."""
        try:
            content_and_etag = self._get()
        except errors.BurstError as exc:
            raise errors.EvidenceUnknown(f"{self.address} cannot be read: {exc}") from exc
        if content_and_etag is None:
            return None
        try:
            return models.read(halts.Halt, content_and_etag[0])
        except (errors.EvidenceCorrupt, errors.EvidenceUnknown) as exc:
            raise errors.EvidenceUnknown(f"{self.address} is no halt that this version knows: {exc}") from exc

    def set_halt(self, halt: halts.Halt) -> halts.Halt:
        """Puts the object unless there is one; after a lost answer the object itself tells whose it is."""
        unclear: errors.Unavailable | None = None
        for attempt in range(1, ATTEMPTS + 1):
            if unclear is not None:
                aws.pause(attempt - 1)
            try:
                body = {"Body": halt.content(), "ContentType": "application/json", "IfNoneMatch": "*"}
                aws.call("s3:PutObject", self._s3().put_object, **self._object, **body)
                return halt
            except errors.Unavailable as exc:
                unclear = exc
            except errors.Conflict:
                earlier = self.read()
                if earlier is not None:
                    return earlier
                unclear = errors.Unavailable("it was lifted meanwhile")
            except errors.BurstError as exc:
                raise errors.Refused(f"{self.address} was not written: {exc}") from exc
        raise errors.Unavailable(f"cannot tell whether {self.address} was written: {unclear}; halt again") from unclear

    def lift(self) -> bool:
        """Removes the object as it was read."""
        unclear: errors.Unavailable | None = None
        for attempt in range(1, ATTEMPTS + 1):
            if unclear is not None:
                aws.pause(attempt - 1)
            try:
                content_and_etag = self._get()
                if content_and_etag is None:
                    return unclear is not None  # removed by a call whose answer was lost
                aws.call("s3:DeleteObject", self._s3().delete_object, **self._object, IfMatch=content_and_etag[1])
                return True
            except errors.Unavailable as exc:
                unclear = exc
            except aws.Absent:
                return True
            except errors.Conflict as exc:
                raise errors.Conflict(f"{self.address} has changed while it was lifted; look at it again") from exc
            except errors.BurstError as exc:
                raise errors.Refused(f"{self.address} cannot be removed: {exc}") from exc
        raise errors.Unavailable(f"cannot tell whether {self.address} was removed: {unclear}; lift it again")

    def _get(self) -> tuple[bytes, str] | None:
        """The bytes of the object and its ETag; None where there is none."""
        try:
            answer = aws.call("s3:GetObject", aws.get_whole_object, s3=self._s3(), **self._object)
        except aws.Absent:
            return None
        return answer["Content"], answer["ETag"]

    def _s3(self) -> Any:
        with self._client_lock:
            if self._client is None:
                self._client = aws.client("s3", connect_seconds=CONNECT_SECONDS, read_seconds=READ_SECONDS)
            return self._client
