"""`make released`: real, signed runs of this version, whose documents every later one has to read.

Writes `tests/fixtures/documents/v1/VERSION/`: a reference run and the baseline made of it, a burst that holds, its
bounded rerun, and a burst that passes. It is run once for each release; what stands there is never made again.
Everything is named relative to a folder of its own, so that no document says where it was made.
"""

import json
import os
import secrets
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import burst
from burst.domain.documents import attempts
from burst.report import schemas
from burst.sandbox import embedded_postgres, gateway
from tests.faults import stage

RELEASES = stage.ROOT / "tests" / "fixtures" / "documents" / "v1"
KEY = "signing.pem"


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """The folder everything is named relative to, and what `burst` is started with there."""

    folder: Path
    host: str
    environment: dict[str, str]

    def burst(self, *words: str, codes: tuple[int, ...] = (0,)) -> None:
        """`burst` with these words; fails unless it ends as it should."""
        command = [sys.executable, "-m", "burst", *words]
        code = subprocess.run(command, cwd=self.folder, env=self.environment, check=False, stdout=2).returncode
        if code not in codes:
            raise SystemExit(f"burst {' '.join(words)} ended with {code}; expected {codes}")

    def plan(self, execution_id: str, phase: str, **sections: Any) -> str:
        """The name of a plan: two small senders for two seconds, signed."""
        prefix = phase.replace(".", "")
        value = {
            "schema": "burst.plan/v1",
            "phase": phase,
            "scope": "fresh",
            "environment": "local",
            "execution_id": execution_id,
            "target": {"kind": "local", "tasks": 2},
            "load": {
                "command": ["python", "-m", "burst.load.profiles.sender"],
                "host": self.host,
                "rate": 1200,
                "api_key": f"env:{stage.API_KEY_NAME}",
                "waits_for_go": True,
            },
            "layers": {"require": ["guard", "sidecar", "lease", "controller"]},
            "budget": {"max": "60s", "min_window": "2s", "start_timeout": "15s", "stop_grace": "1s"},
            "receipts": {"dsn": f"env:{stage.DSN_NAME}", "bucket": "1s", "settle": "200ms"},
            "gates": {"admit_ratio": 0.995},
            "facts": stage.facts(prefix),
            "evidence": {"sign": {"key": f"file:{KEY}"}},
            **sections,
        }
        name = f"{execution_id}.json"
        (self.folder / name).write_text(json.dumps(value))
        return name


def main() -> None:
    """Makes the documents of this version, which must have none yet."""
    target = RELEASES / burst.__version__
    if target.exists():
        raise SystemExit(f"{target} is there already; what was released is never made again")
    with tempfile.TemporaryDirectory() as folder, embedded_postgres.start(durable=False) as server:
        dsn, api_key = server.create_database(), secrets.token_urlsafe(24)
        embedded_postgres.apply_schema(dsn)
        with gateway.start(dsn=dsn, api_key=api_key) as running:
            environment = {
                **os.environ,
                stage.DSN_NAME: dsn,
                stage.API_KEY_NAME: api_key,
                "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            }
            site = Site(folder=Path(folder), host=running.url, environment=environment)
            _play(site)
        _keep(site.folder, target)


def _play(site: Site) -> None:
    site.burst("evidence", "keygen", "-o", KEY)
    site.burst("run", site.plan("m10_reference", "M10.E"))
    site.burst("baseline", "make", "runs/m10_reference", "-o", "baseline.json")
    burst_of = {"baseline": {"file": "baseline.json"}, "gates": {"multiplier": 0.5, "admit_ratio": 0.995}}
    twice, *others = stage.facts()
    site.burst("run", site.plan("m10_pass", "M10.F", **burst_of))
    wrong = {**burst_of, "facts": [{**twice, "equals": 1}, *others]}
    site.burst("run", site.plan("m10_hold", "M10.F", **wrong), codes=(3,))
    mended = {
        "key": "facts.M10F-B2.duplicate_side_effects",
        "from": {"sql": twice["sql"], "equals": 1},
        "to": {"sql": twice["sql"], "equals": 0},
        "why": "the expectation was wrong",
    }
    rerun = {"only": ["M10F-B2"], "prior": "runs/m10_hold", "changes": [mended]}
    site.burst("run", site.plan("m10_rerun", "M10.F", **burst_of, rerun=rerun))


def _keep(folder: Path, target: Path) -> None:
    """Copies what the schemas name, the report and the public key; nothing else a run leaves is a document."""
    for run in sorted(run for run in (folder / "runs").iterdir() if run.name != attempts.FOLDER):
        slug = "m10_e" if run.name == "m10_reference" else "m10_f"
        names = {known.name.format(slug=slug) for known in schemas.KINDS.values()}
        (target / run.name).mkdir(parents=True)
        for path in sorted(run.iterdir()):
            if path.name in names | {"report.html", "prior_snapshot.json", "prior_plan.json"}:
                shutil.copyfile(path, target / run.name / path.name)
    shutil.copyfile(folder / f"{KEY}.pub", target / f"{KEY}.pub")
    shutil.copyfile(folder / "baseline.json", target / "baseline.json")


if __name__ == "__main__":
    main()
