"""Files: small ones of ours written whole, and those that a command or a plan names, read whole.

A reader, or a crash, sees the old content of a file of ours or the new, never a part. Beside the ports because the
lease, the launcher and what runs inside a task all keep such files, and adapters do not import each other.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from burst.domain.basics import errors

LARGEST_BYTES = 1 << 20
LARGEST_GIVEN_BYTES = 64 << 20


def replace(path: Path, content: bytes) -> None:
    """Puts `content` at `path` durably: written beside it, fsynced, renamed over it, folder fsynced."""
    beside = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o644), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(beside, path)
    except BaseException:
        with contextlib.suppress(OSError):
            beside.unlink()
        raise
    sync_folder(path.parent)


def read(path: Path) -> bytes | None:
    """The bytes of a regular file, None when there is none.

    Raises OSError for a link, a pipe, a device or a folder, and for more than `LARGEST_BYTES`: none of ours is one.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except FileNotFoundError:
        return None
    with open(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"{path} is not a regular file")
        content = file.read(LARGEST_BYTES + 1)
    if len(content) > LARGEST_BYTES:
        raise OSError(f"{path} is larger than {LARGEST_BYTES} bytes")
    return content


def given(path: Path, named: str) -> bytes:
    """The bytes of a file that somebody named, be it a link or a pipe; `named` says where it was named.

    Raises `errors.UsageError` where it cannot be read, or is larger than `LARGEST_GIVEN_BYTES`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_GIVEN_BYTES + 1)
    except OSError as exc:
        raise errors.UsageError(f"{named} {path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # a name with a NUL in it
        raise errors.UsageError(f"{named} {str(path)!r} cannot be read: {exc}") from exc
    if len(content) > LARGEST_GIVEN_BYTES:
        raise errors.UsageError(f"{named} {path} is larger than {LARGEST_GIVEN_BYTES} bytes")
    return content


def given_text(path: Path, named: str) -> str:
    """The text of a file that somebody named. Raises `errors.UsageError` as `given` does, and for what is not UTF-8."""
    try:
        return given(path, named).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise errors.UsageError(f"{named} {path} is not UTF-8 text") from exc


def sync_folder(folder: Path) -> None:
    """Makes a rename or a new name in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
