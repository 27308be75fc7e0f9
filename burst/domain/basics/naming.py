"""Names of documents, which stay inside their folder on every system and in every store, and names of S3 buckets."""

import re

from burst.domain.basics import errors

BUCKET = r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](?<!--x-s3)(?![a-z0-9.-])"
"""A bucket of S3, as a pattern. A directory bucket, whose name ends in `--x-s3`, lists in no order."""
BUCKET_ALLOWED = (
    "BUCKET of 3 to 63 lowercase letters, digits, . and -, first and last a letter or digit, and no directory bucket, "
    "which ends in --x-s3"
)
FOLDERS_OF_ALL_RUNS = frozenset({"attempts", "campaigns", "drills", "preflight", "searches", "services"})
"""The folders that burst itself keeps beside those of the runs, so that no run may have their names."""
_PLAIN = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,199}", re.ASCII)


def is_plain(name: str) -> bool:
    """Whether a document may have this name."""
    return _PLAIN.fullmatch(name) is not None


def refuse_odd(name: str) -> None:
    """Raises `errors.UsageError` for a name that no document may have."""
    if not is_plain(name):
        raise errors.UsageError(
            f"{name!r} is no document name; allowed: letters, digits, _ . - and no leading dot (at most 200)"
        )
