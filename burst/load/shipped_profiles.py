"""The load profiles that ship with burst, under the paths that plans give them: `locustfiles/ingest.py`, `playback.py`.

A clone and the task image have a file of that path. In any other folder the same path names the shipped profile, so one
plan works in all three. A file of the working folder always comes first.
"""

from pathlib import Path, PurePosixPath

NAME = "locustfiles/ingest.py"
INGEST = Path(__file__).parent / "profiles" / "ingest.py"
PLAYBACK = Path(__file__).parent / "profiles" / "playback.py"
_SHIPPED = {NAME: INGEST, "locustfiles/playback.py": PLAYBACK}
OF_BURST = f"the profile that ships with burst is {NAME}"


def find_profile(locustfile: str) -> Path | None:
    """The shipped profile behind a plan's `load.locustfile`.

    None for any other path, and where the working folder holds a file of that path.
    """
    return None if Path(locustfile).exists() else _SHIPPED.get(str(PurePosixPath(locustfile)))


def describe_missing(locustfile: str) -> str:
    """Why there is no file behind a plan's `load.locustfile`; empty where there is one."""
    path = find_profile(locustfile) or Path(locustfile)
    return "" if path.is_file() else f"{locustfile} is not there, looked for from {Path.cwd()}; {OF_BURST}"


def describe(profile: Path) -> str:
    """Why the shipped profile runs, in words, with its place."""
    return f"not in {Path.cwd()}, so the profile that ships with burst runs: {profile}"
