"""Files: burst's own small ones, replaced whole, and those that a command or a plan names, read whole.

A reader, also one after a crash, sees the old content of burst's own file or the new, never a part. In the kit because
the lease, the launcher and the programs of a task all keep such files, and adapters do not import each other.
"""

import contextlib
import os
import secrets
import stat
from pathlib import Path

from burst.domain.basics import errors

LARGEST_BYTES = 1 << 20
LARGEST_NAMED_BYTES = 64 << 20


def replace(path: Path, content: bytes, *, mode: int = 0o644) -> None:
    """Puts `content` at `path` durably: writes a sibling file, fsyncs it, renames it over `path`, fsyncs the folder."""
    sibling = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}")
    try:
        with open(os.open(sibling, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, mode), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(sibling, path)
    except BaseException:
        with contextlib.suppress(OSError):
            sibling.unlink()
        raise
    sync_folder(path.parent)


def read(path: Path) -> bytes | None:
    """The bytes of a regular file, None when there is none.

    Raises OSError for a link, a pipe, a device or a folder, and for more than `LARGEST_BYTES`: burst writes none of
    them.
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


def read_evidence(path: Path, *, absence: str) -> bytes:
    """The bytes of a file of a run or a course; `absence` says what it means where there is none.

    Raises `errors.EvidenceIncomplete` where there is none, `errors.EvidenceUnknown` where it cannot be read.
    """
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise errors.EvidenceIncomplete(f"{path} is not there: {absence}") from None
    except OSError as exc:
        raise errors.EvidenceUnknown(f"{path} cannot be read: {exc.strerror}") from exc


def read_named(path: Path, option: str) -> bytes:
    """The bytes of a file that an operator named, also of a link or a pipe; `option` is the word that named it.

    Raises `errors.UsageError` where it cannot be read, or is larger than `LARGEST_NAMED_BYTES`.
    """
    try:
        with path.open("rb") as file:
            content = file.read(LARGEST_NAMED_BYTES + 1)
    except FileNotFoundError as exc:
        raise errors.UsageError(f"{option} {path} is not there{_suggest_name(path)}") from exc
    except IsADirectoryError as exc:
        raise errors.UsageError(f"{option} {path} is a folder; allowed: a file") from exc
    except OSError as exc:
        raise errors.UsageError(f"{option} {path} cannot be read: {exc.strerror}") from exc
    except ValueError as exc:  # the name holds a NUL
        raise errors.UsageError(f"{option} {str(path)!r} cannot be read: {exc}") from exc
    if len(content) > LARGEST_NAMED_BYTES:
        raise errors.UsageError(f"{option} {path} is larger than {LARGEST_NAMED_BYTES} bytes")
    return content


def _suggest_name(path: Path) -> str:
    """The file of the same folder that may have been meant; empty where none has a name that is like it."""
    import difflib  # where a file is missing

    try:
        names = [entry.name for entry in os.scandir(path.parent) if entry.is_file()]
    except OSError:
        return f"; {path.parent} is no folder" if path.parent.name and not path.parent.exists() else ""
    alike = difflib.get_close_matches(path.name, names, n=1, cutoff=0.7)
    return f"; did you mean {path.with_name(alike[0])}?" if alike else ""


def read_named_text(path: Path, option: str) -> str:
    """The text of a file that an operator named. Raises `errors.UsageError` as `read_named` does, or for bytes that are
    not UTF-8."""
    try:
        return read_named(path, option).decode("utf-8")
    except UnicodeDecodeError as exc:
        raise errors.UsageError(f"{option} {path} is not UTF-8 text") from exc


def create_to_append(path: Path) -> int:
    """The descriptor of a new file of lines. Raises `errors.Conflict` where there is a file already."""
    try:
        descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
    except FileExistsError:
        raise errors.Conflict(f"{path} exists; nothing was overwritten") from None
    sync_folder(path.parent)
    return descriptor


def open_to_append(path: Path, content: bytes) -> int:
    """The descriptor of a file of lines that holds `content`; a line that a crash cut stays, and a new one begins."""
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CLOEXEC)
    if content and not content.endswith(b"\n"):
        os.write(descriptor, b"\n")
    return descriptor


def sync_folder(folder: Path) -> None:
    """Makes a rename or a new name in this folder survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
