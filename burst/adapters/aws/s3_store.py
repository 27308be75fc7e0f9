"""Evidence on S3: documents written once under a prefix, and never again.

`If-None-Match: *` creates only where there is no object, and SHA-256 tells whether an object holds the right bytes: it
is sent with the bytes, kept by S3 and in the metadata, and compared again whenever an answer was lost or another
writer came first. So a publication can be repeated from frozen bytes until it is whole, and never overwrites. One PUT a
document: a multipart upload would have another checksum.

A 200 alone is the word of the store. So each document that was created is read back, and preflight tries a store: one
that looks first and writes then lets two writers win, and no reading afterwards finds the one that comes later still.
"""

import base64
import hashlib
import itertools
import re
import threading
import urllib.parse
from collections.abc import Iterator, Mapping, Sequence
from concurrent import futures
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from burst import ports
from burst.domain.basics import errors, instants, naming
from burst.domain.preflight import write_conditions
from burst.kit import aws

LARGEST_BYTES = 64 << 20
ATTEMPTS = 4
"""How often a document is put before its state is unknown."""
CREATES_AT_ONCE = 4
BARRIER_SECONDS = 10.0
AT_WORK_CODES = ("ConditionalRequestConflict", "OperationAborted")
"""How S3 says that another writer is at work on a key."""
_SCHEMA = re.compile(rb'"schema":\s?"(burst\.[a-z-]{1,40}/v\d{1,4})"')
_PLACE = re.compile(rf"s3://{naming.BUCKET}/\S+")
_MEDIA_TYPES = {"json": "application/json", "jsonl": "application/x-ndjson", "html": "text/html; charset=utf-8"}


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """How documents are kept. `execution_id` goes into the metadata of each.

    `checksums` is `when_required` for compatible stores that know no SHA-256 checksums.
    """

    execution_id: str | None = None
    kms_key_id: str | None = None
    bucket_owner: str | None = None
    """The account that must own the bucket."""
    lock_mode: Literal["GOVERNANCE", "COMPLIANCE"] | None = None
    lock_until: datetime | None = None
    checksums: Literal["when_supported", "when_required"] = "when_supported"

    def __post_init__(self) -> None:
        if (self.lock_mode is None) != (self.lock_until is None):
            raise ValueError("an object lock needs both its mode and the instant it ends")


class S3Store:
    """`ports.EvidenceStore` under `place`, which is `s3://BUCKET/PREFIX`; without `client` it makes its own."""

    def __init__(self, place: str, *, settings: StoreSettings | None = None, client: Any | None = None) -> None:
        if not _PLACE.fullmatch(place):
            raise errors.UsageError(
                f"evidence place {place!r}: allowed is s3://BUCKET/PREFIX ({naming.BUCKET_ALLOWED})"
            )
        self.place = place.rstrip("/")
        parts = urllib.parse.urlsplit(self.place)
        self._bucket = parts.netloc
        self._prefix = parts.path.lstrip("/") + "/"
        self._settings = settings or StoreSettings()
        self._s3 = client if client is not None else aws.client("s3", checksums=self._settings.checksums)
        self._stamps: dict[str, ports.Stamp] = {}

    def beneath(self, folder: str) -> "S3Store":
        """The place in a folder under this one, with the same settings."""
        return S3Store(f"{self.place}/{folder}", settings=self._settings, client=self._s3)

    def stamp(self, name: str) -> ports.Stamp:
        """Version and request id of the last answer about a document; empty where there was none."""
        return self._stamps.get(name, ports.Stamp())

    def put_once(self, name: str, content: bytes) -> None:
        """Writes durably; the same bytes again are a success.

        Raises `errors.Conflict` where the name holds other bytes, `errors.Refused` where S3 refuses them,
        `errors.Unavailable` where nobody can tell whether they were written: the same bytes may be put again.
        """
        naming.refuse_odd(name)
        attempts = itertools.count(1)
        try:
            self._put_until_answered(name, content, attempts)
        except errors.BurstError as exc:
            answer = aws.error_answer(exc)
            is_taken = isinstance(exc, errors.Conflict)
            exc.unwritten = errors.Unwritten(
                place=self.place,
                name=name,
                code="PreconditionFailed" if is_taken else answer.code,
                http_status=412 if is_taken else answer.status,
                request_id=answer.request_id,
                attempts=next(attempts) - 1,
            )
            raise

    def _put_until_answered(self, name: str, content: bytes, attempts: Iterator[int]) -> None:
        unclear: errors.Unavailable | None = None
        for attempt in itertools.islice(attempts, ATTEMPTS):
            if attempt > 1:
                aws.pause(attempt - 1)
            try:
                if self._is_there_after_put(name, content):
                    return
            except errors.Unavailable as exc:
                unclear = exc
                if self._reconcile(name, content):
                    return
        raise errors.Unavailable(
            f"{self.place}/{name}: cannot tell whether it was written, after {ATTEMPTS} attempts; nothing was deleted "
            f"or overwritten, and the same bytes may be put again: {unclear or 'it comes and goes'}"
        ) from unclear

    def _is_there_after_put(self, name: str, content: bytes) -> bool:
        """Whether the document holds these bytes after one put, which found it free or taken."""
        return self._reads_back(name, content) if self._put(name, content) else self._holds(name, content)

    def read(self, name: str) -> bytes:
        """The bytes of a document, hashed anew. Raises `errors.EvidenceIncomplete` when absent,
        `errors.EvidenceCorrupt` where they differ from those that were put, `errors.EvidenceUnknown` when they cannot
        be read or are more than `LARGEST_BYTES`."""
        naming.refuse_odd(name)
        location = f"{self.place}/{name}"
        try:
            answer = self._get(name)
        except aws.Absent as exc:
            raise errors.EvidenceIncomplete(f"{location} is not there") from exc
        except errors.BurstError as exc:
            if isinstance(exc, aws.Garbled):
                raise errors.EvidenceCorrupt(f"{location} is not what was put: its checksum differs") from exc
            raise errors.EvidenceUnknown(f"{location} cannot be read: {exc}") from exc
        content: bytes | None = answer["Content"]
        if content is None:
            raise errors.EvidenceUnknown(f"{location} is larger than {LARGEST_BYTES} bytes")
        if _kept_digest(answer) not in (None, hashlib.sha256(content).hexdigest()):
            raise errors.EvidenceCorrupt(
                f"{location} is not what was put: its SHA-256 differs from the one kept with it"
            )
        return content

    def names(self) -> Sequence[str]:
        """The names of all documents directly under the place, sorted. Raises `errors.EvidenceUnknown` where they
        cannot be listed."""
        names: list[str] = []
        parameters = {"Bucket": self._bucket, "Prefix": self._prefix, "Delimiter": "/", **self._owner()}
        while True:
            try:
                answer = aws.read("s3:ListBucket", self._s3.list_objects_v2, **parameters)
            except errors.BurstError as exc:
                raise errors.EvidenceUnknown(f"{self.place} cannot be listed: {exc}") from exc
            names += [entry["Key"].removeprefix(self._prefix) for entry in answer.get("Contents", ())]
            if not answer.get("NextContinuationToken"):
                return sorted(name for name in names if naming.is_plain(name))
            parameters["ContinuationToken"] = answer["NextContinuationToken"]

    def versioning(self) -> str:
        """The versioning of the place's bucket, as S3 spells it. Raises what `aws.call` raises, but for a denial."""
        action, operation = "s3:GetBucketVersioning", self._s3.get_bucket_versioning
        try:
            answer = aws.call(action, operation, Bucket=self._bucket, **self._owner())
        except errors.Refused:
            return "not to be seen with these credentials"
        return str(answer.get("Status") or "off")

    # One document

    def _get(self, name: str) -> Mapping[str, Any]:
        """GetObject and its body."""
        parameters = {**self._address(name), "ChecksumMode": "ENABLED"}
        return aws.read("s3:GetObject", aws.get_whole_object, s3=self._s3, largest_bytes=LARGEST_BYTES, **parameters)

    def _put(self, name: str, content: bytes, **condition: str) -> bool:
        """Whether the object was written; False where the condition does not hold, which usually is that there is
        none."""
        parameters = {**self._put_parameters(name, content), **(condition or {"IfNoneMatch": "*"})}
        try:
            answer = aws.call("s3:PutObject", self._s3.put_object, **self._address(name), **parameters)
        except errors.Unavailable:
            raise
        except errors.Conflict:
            return False
        except errors.BurstError as exc:
            raise errors.Refused(f"{self.place}/{name} was not written: {exc}") from exc
        self._stamps[name] = _stamp(answer)
        return True

    def _holds(self, name: str, content: bytes) -> bool:
        """Whether the name holds these bytes; False where it holds nothing. Raises `errors.Conflict` for other
        bytes."""
        try:
            answer = aws.call("s3:GetObject", self._s3.head_object, **self._address(name), ChecksumMode="ENABLED")
        except aws.Absent:
            return False
        except (errors.Refused, errors.UsageError) as exc:
            raise errors.Refused(
                f"{self.place}/{name} cannot be looked at: {exc}; grant s3:ListBucket on the prefix too, without which "
                "S3 does not say whether it is there"
            ) from exc
        digest = _kept_digest(answer)
        same = digest == hashlib.sha256(content).hexdigest() and answer["ContentLength"] == len(content)
        if same or (digest is None and self.read(name) == content):
            self._stamps[name] = _stamp(answer)
            return True
        raise errors.Conflict(f"{self.place}/{name} exists with other content; nothing was overwritten")

    def _reads_back(self, name: str, content: bytes) -> bool:
        """Whether a document that was just created holds these bytes; False where it cannot be read now. Raises
        `errors.Conflict` for other bytes: then the store let another writer win too."""
        try:
            if self.read(name) == content:
                return True
        except (errors.EvidenceIncomplete, errors.EvidenceUnknown):
            return False
        except errors.EvidenceCorrupt as exc:
            raise errors.Conflict(f"{self.place}/{name} was written, and reads back as other bytes: {exc}") from exc
        raise errors.Conflict(
            f"{self.place}/{name} was written, and then holds other content: the store let two writers create it"
        )

    # Trying the store

    def try_creates(self, name: str) -> write_conditions.CreatesTried:
        """Creates one document several times at once, with different bytes, and once more. Raises as `put_once`."""
        contents = [b'{"burst_preflight_probe":%d}' % number for number in range(CREATES_AT_ONCE)]
        begin = threading.Barrier(len(contents))

        def create(content: bytes) -> bool:
            begin.wait(BARRIER_SECONDS)
            return self._create(name, content)

        with futures.ThreadPoolExecutor(len(contents)) as pool:
            succeeded = list(itertools.compress(contents, pool.map(create, contents)))
        later = b'{"burst_preflight_probe":"later"}'
        if not succeeded and self._create(name, later):  # each was told that another one is at work
            succeeded, later = [later], b'{"burst_preflight_probe":"last"}'
        later_refused = not self._create(name, later)
        kept = later_refused and len(succeeded) == 1 and self.read(name) == succeeded[0]
        return write_conditions.CreatesTried(
            writers=len(contents), succeeded=len(succeeded), reads_back=kept, later_refused=later_refused
        )

    def try_swap(self, name: str) -> write_conditions.SwapTried:
        """Creates one document, replaces it by its ETag, and then by the ETag that it had before. Raises as
        `put_once`."""
        self._create(name, b'{"burst_preflight_probe":"first"}')
        stale = self._get(name)["ETag"]
        present_taken = self._create(name, b'{"burst_preflight_probe":"second"}', IfMatch=stale)
        stale_refused = not self._create(name, b'{"burst_preflight_probe":"third"}', IfMatch=stale)
        return write_conditions.SwapTried(present_taken=present_taken, stale_refused=stale_refused)

    def _create(self, name: str, content: bytes, **condition: str) -> bool:
        """`_put` of a probe; False too where S3 says that another writer is at work on the key."""
        try:
            return self._put(name, content, **condition)
        except errors.Unavailable as exc:
            if aws.error_answer(exc).code in AT_WORK_CODES:
                return False
            raise

    def _reconcile(self, name: str, content: bytes) -> bool:
        """`_holds`, after a lost answer; False where that answer is lost too."""
        try:
            return self._holds(name, content)
        except (errors.Unavailable, errors.EvidenceUnknown):
            return False

    def _address(self, name: str) -> dict[str, str]:
        return {"Bucket": self._bucket, "Key": self._prefix + name, **self._owner()}

    def _owner(self) -> dict[str, str]:
        return {"ExpectedBucketOwner": self._settings.bucket_owner} if self._settings.bucket_owner else {}

    def _put_parameters(self, name: str, content: bytes) -> dict[str, Any]:
        """The parameters of PutObject but for the address and the condition."""
        digest = hashlib.sha256(content)
        parameters: dict[str, Any] = {
            "Body": content,
            "ContentType": _MEDIA_TYPES.get(name.rpartition(".")[2], "application/octet-stream"),
            "Metadata": {"sha256": digest.hexdigest(), **self._metadata(name, content)},
        }
        settings = self._settings
        if settings.checksums == "when_supported":
            parameters |= {"ChecksumAlgorithm": "SHA256", "ChecksumSHA256": base64.b64encode(digest.digest()).decode()}
        if settings.kms_key_id is not None:
            parameters |= {
                "ServerSideEncryption": "aws:kms",
                "SSEKMSKeyId": settings.kms_key_id,
                "BucketKeyEnabled": True,
            }
        if settings.lock_mode is not None and settings.lock_until is not None:
            parameters |= {
                "ObjectLockMode": settings.lock_mode,
                "ObjectLockRetainUntilDate": instants.utc(settings.lock_until),
            }
        return parameters

    def _metadata(self, name: str, content: bytes) -> dict[str, str]:
        """The run and the schema of a document, for a reader of the object alone."""
        metadata = {"execution-id": self._settings.execution_id} if self._settings.execution_id else {}
        schema = _SCHEMA.search(content) if name.endswith(".json") else None
        return {**metadata, "schema": schema.group(1).decode()} if schema else metadata


def _stamp(answer: Mapping[str, Any]) -> ports.Stamp:
    metadata = answer.get("ResponseMetadata") or {}
    return ports.Stamp(version_id=str(answer.get("VersionId") or ""), request_id=str(metadata.get("RequestId") or ""))


def _kept_digest(answer: Mapping[str, Any]) -> str | None:
    """The SHA-256 kept with an object, in hex: S3's own, else the one in its metadata; None where there is neither."""
    checksum = str(answer.get("ChecksumSHA256") or "")
    if checksum and answer.get("ChecksumType", "FULL_OBJECT") == "FULL_OBJECT" and "-" not in checksum:
        return base64.b64decode(checksum).hex()
    return (answer.get("Metadata") or {}).get("sha256")
