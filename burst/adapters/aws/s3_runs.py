"""Runs under an S3 place: listed newest first without a scan, and documents removed only as they were listed.

Folders are S3's common prefixes, a thousand a call. Objects in a run's own folders (its lease, its tasks' records) are
no evidence; they are never listed or removed.
"""

import heapq
import itertools
import re
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

from burst import ports
from burst.domain.basics import errors, naming
from burst.domain.run import run_ids
from burst.kit import aws

_PLACE = re.compile(rf"s3://{naming.BUCKET}/\S+")
PAGE = 1000
MOST_GROUPS = 200
"""The most groups and ids without a time; a place with more is refused as no place of runs."""


class S3Runs:
    """`ports.Runs` under `place`, `s3://BUCKET/PREFIX`. `store_of` opens the store at `{place}/{id}`.

    Raises `errors.UsageError` for another place.
    """

    def __init__(self, place: str, client: Any, store_of: Callable[[str], ports.EvidenceStore]) -> None:
        if not _PLACE.fullmatch(place):
            raise errors.UsageError(f"place of runs {place!r}: allowed is s3://BUCKET/PREFIX ({naming.BUCKET_ALLOWED})")
        self.place = place.rstrip("/")
        parts = urllib.parse.urlsplit(self.place)
        self._bucket, self._prefix = parts.netloc, parts.path.lstrip("/") + "/"
        self._s3 = client
        self._store_of = store_of

    def newest_first(self, group: str | None, now: datetime) -> Iterator[str]:
        """The ids of runs, the newest first; without a group, ids without a time come last."""
        if group is not None:
            yield from self._list_group(group, now)
            return
        groups, timeless = self._list_groups()
        streams = [
            ((run_ids.read_stamp(name), name) for name in self._list_group(each_group, now)) for each_group in groups
        ]
        yield from (name for _, name in heapq.merge(*streams, reverse=True))
        yield from timeless

    def store(self, execution_id: str) -> ports.EvidenceStore:
        """The documents of one run."""
        return self._store_of(f"{self.place}/{execution_id}")

    def list_documents(self, execution_id: str) -> Sequence[ports.Stored]:
        """The documents of one run as S3 lists them."""
        folder = f"{self._prefix}{execution_id}/"
        documents: list[ports.Stored] = []
        parameters = {"Prefix": folder, "Delimiter": "/"}
        while True:
            answer = self._list(**parameters)
            documents += [
                ports.Stored(
                    name=entry["Key"].removeprefix(folder),
                    size=entry["Size"],
                    modified_at=entry["LastModified"].astimezone(UTC),
                    tag=entry["ETag"],
                )
                for entry in answer.get("Contents", ())
            ]
            if not answer.get("NextContinuationToken"):
                return documents
            parameters["ContinuationToken"] = answer["NextContinuationToken"]

    def remove(self, execution_id: str, document: ports.Stored) -> None:
        """Removes the object while it still has the ETag it was listed with."""
        key = f"{self._prefix}{execution_id}/{document.name}"
        try:
            aws.call("s3:DeleteObject", self._s3.delete_object, Bucket=self._bucket, Key=key, IfMatch=document.tag)
        except aws.Absent:
            return
        except errors.Conflict as exc:
            raise errors.Conflict(f"s3://{self._bucket}/{key} has changed since it was listed; it was left") from exc

    def _list_group(self, group: str, now: datetime) -> Iterator[str]:
        return run_ids.newest_first(group, lambda start: self._read_page(f"{group}_", start), now)

    def _list_groups(self) -> tuple[list[str], list[str]]:
        """Every group of ids with a time, and the ids without one. Each listing starts after the last group or id, so
        the runs of a group are never scanned."""
        groups: list[str] = []
        timeless: list[str] = []
        start = ""
        while len(groups) + len(timeless) < MOST_GROUPS:
            page = self._read_page("", start, most=1)
            if not page.names:
                return groups, timeless
            parsed = run_ids.parse(page.names[0])
            if parsed is None:
                timeless.append(page.names[0])
                start = f"{page.names[0]}/~"
            else:
                groups.append(parsed[0])
                start = f"{parsed[0]}_{run_ids.AFTER_STAMPS}"
        raise errors.EvidenceUnknown(
            f"{self.place} holds more than {MOST_GROUPS} groups of runs or ids without a time; name the phase"
        )

    def _read_page(self, prefix: str, start: str, *, most: int = PAGE) -> run_ids.Page:
        """The names of folders that begin with `prefix`, from `start` on."""
        while True:
            answer = self._list(
                Prefix=self._prefix + prefix, Delimiter="/", StartAfter=self._prefix + start, MaxKeys=most
            )
            self._require_order(answer, start)
            folders = [entry["Prefix"][len(self._prefix) : -1] for entry in answer.get("CommonPrefixes", ())]
            names = [name for name in folders if run_ids.is_plain(name)]
            if names or not answer["IsTruncated"]:
                return run_ids.Page(names=names, whole=not answer["IsTruncated"])
            keys = [entry["Key"][len(self._prefix) :] for entry in answer.get("Contents", ())]
            start = max([*keys, *(f"{name}/~" for name in folders)])  # none of them is a run

    def _require_order(self, answer: Any, start: str) -> None:
        """Raises `errors.EvidenceUnknown` where a page is not in the order of bytes from its start on: each search for
        the newest run ends early, and would give an older one."""
        folders = [entry["Prefix"][len(self._prefix) :] for entry in answer.get("CommonPrefixes", ())]
        keys = [entry["Key"][len(self._prefix) :] for entry in answer.get("Contents", ())]
        for names in (folders, keys):
            # A folder may begin before the start where some of its keys lie behind it.
            early = [name for name in names if name.encode() < start.encode() and not start.startswith(name)]
            turned = [name for earlier, name in itertools.pairwise(names) if name.encode() <= earlier.encode()]
            if early or turned:
                raise errors.EvidenceUnknown(
                    f"{self.place}: this store does not list in order: {(early + turned)[0]} in a page from "
                    f"{start or 'the beginning'} on; the newest run cannot be told there"
                )

    def _list(self, **parameters: Any) -> Any:
        try:
            return aws.read("s3:ListBucket", self._s3.list_objects_v2, Bucket=self._bucket, **parameters)
        except errors.BurstError as exc:
            raise errors.EvidenceUnknown(f"{self.place} cannot be listed: {exc}") from exc
