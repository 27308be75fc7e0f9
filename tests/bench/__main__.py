"""`make bench`: measured figures, side by side in one run; name benches to run only those.

Every module `*_bench` here has `run() -> dict`, which measures and prints nothing.
"""

import importlib
import json
import os
import pkgutil
import platform
import sys
from pathlib import Path


def benches() -> list[str]:
    """The names of all benches."""
    found = (module.name for module in pkgutil.iter_modules([str(Path(__file__).parent)]))
    return sorted(name.removesuffix("_bench") for name in found if name.endswith("_bench"))


def main(wanted: list[str]) -> int:
    """Runs the benches wanted, all where none is named, and prints each as it ends."""
    unknown = set(wanted) - set(benches())
    if unknown:
        sys.stderr.write(f"no bench {', '.join(sorted(unknown))}; there are {', '.join(benches())}\n")
        return 2
    machine = {"machine": platform.machine(), "python": platform.python_version(), "cpus": os.cpu_count()}
    sys.stdout.write(json.dumps({"on": machine, "load_average": os.getloadavg()}, indent=2) + "\n")
    for name in wanted or benches():
        sys.stderr.write(f"bench {name} ...\n")
        measured = importlib.import_module(f"tests.bench.{name}_bench").run()
        sys.stdout.write(json.dumps({name: measured}, indent=2) + "\n")
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
