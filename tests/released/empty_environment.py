"""The first step of `make released`: the wheel in an entirely empty environment and an empty folder.

pip installs the wheel with all its extras as the wheel's own metadata name them, in the versions of the locks. Then
`burst demo`, `init`, `plan`, `preflight`, `run` and `rehearse` are played; each has to end as a newcomer expects.
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from tests import wheels

EXTRAS = "load,rehearsal,sandbox,sign"


def main() -> None:
    """Installs the wheel and plays its commands; the first that ends otherwise is an AssertionError."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        programs = install_wheel(wheels.build_wheel(folder), folder)
        for number, play in enumerate((wheels.play_demo, wheels.play_run, wheels.play_rehearsal)):
            empty = folder / str(number)
            empty.mkdir()
            print(f"empty environment: {play.__name__}", file=sys.stderr)
            play(wheels.Installation(programs=programs, folder=empty))


def install_wheel(wheel: Path, folder: Path) -> Path:
    """The programs of a new environment with the wheel, its extras and their packages, and nothing else."""
    environment, pins = folder / "environment", folder / "pins.txt"
    pins.write_text(read_pins((wheels.ROOT / "requirements" / "dev.lock").read_text()))
    subprocess.run([sys.executable, "-m", "venv", str(environment)], check=True)
    pip = [str(environment / "bin" / "python"), "-m", "pip", "--disable-pip-version-check", "-qq", "install"]
    words = [*pip, "--only-binary", ":all:", "--constraint", str(pins), f"burst[{EXTRAS}] @ {wheel.as_uri()}"]
    subprocess.run(words, check=True)
    return environment / "bin"


def read_pins(lock: str) -> str:
    """The versions of a lock without its hashes and extras: pip takes no constraint with an extra, and none with a hash
    for a wheel that has none."""
    lines = [line.rstrip(" \\") for line in lock.splitlines() if re.match(r"[A-Za-z0-9].*==", line)]
    pins = [re.sub(r"\[.*?\]", "", line, count=1) for line in lines]
    return "\n".join(pins) + "\n"


if __name__ == "__main__":
    main()
