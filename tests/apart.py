"""Every test file alone: no file may need what another one leaves in the process.

    python -m tests.apart [FILE or FOLDER ...] [options of pytest]

A pytest of its own for each file, `WORKERS` of them side by side; then, one after the other, those with tests that
measure a rate. What a file that failed has said is shown, and at the end which ones failed.
"""

import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent import futures
from dataclasses import dataclass
from pathlib import Path

from tests import spreading

ROOT = Path(__file__).parents[1]
WORKERS = int(os.environ.get("WORKERS") or 4)
PASSED, NO_TESTS = 0, 5
TOGETHER, ALONE = "not alone", "alone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """The tests of a file that a mark selects, and how their pytest ended."""

    file: Path
    code: int
    seconds: float
    output: str

    @property
    def passed(self) -> bool:
        """Whether no test failed."""
        return self.code in (PASSED, NO_TESTS)


def list_files(places: Iterable[Path]) -> list[Path]:
    """The test files of folders, and files themselves; those that take longest come first.

    Raises `FileNotFoundError` for a place that is not there.
    """
    files: set[Path] = set()
    for place in places:
        if not place.exists():
            raise FileNotFoundError(f"there is no {place}; name files or folders of tests")
        files.update(place.rglob("test_*.py") if place.is_dir() else (place,))
    return sorted(files, key=lambda file: (spreading.rank(os.path.relpath(file, ROOT)), file))


def play(file: Path, mark: str, options: Sequence[str] = ()) -> Played:
    """The tests of a file that a mark selects, in a pytest of their own."""
    began = time.monotonic()
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-m", mark, *options, str(file)]
    ended = subprocess.run(
        command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        check=False,
    )  # fmt: skip
    return Played(file=file, code=ended.returncode, seconds=time.monotonic() - began, output=ended.stdout)


def play_all(files: Sequence[Path], options: Sequence[str] = (), *, workers: int = WORKERS) -> Iterator[Played]:
    """Every file, as they end. Those with tests that are to run alone come up a second time, for these."""
    with futures.ThreadPoolExecutor(workers) as pool:
        started = [pool.submit(play, file, TOGETHER, options) for file in files]
        for ended in futures.as_completed(started):
            yield ended.result()
    for file in files:
        if "pytest.mark.alone" in file.read_text():
            yield play(file, ALONE, options)


def main(words: Sequence[str]) -> int:
    """Exit code 1 where a file failed."""
    places = [Path(word).absolute() for word in words if not word.startswith("-")]
    options = [word for word in words if word.startswith("-")]
    files = list_files(places or [ROOT / "tests"])
    failed = []
    for played in play_all(files, options):
        name = os.path.relpath(played.file, ROOT)
        print(f"{'passed' if played.passed else 'FAILED'} {played.seconds:6.1f} s  {name}", flush=True)
        if not played.passed:
            failed.append(name)
            print(played.output, flush=True)
    print(f"{len(failed)} of {len(files)} files failed", *sorted(failed), sep="\n  ")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
