"""Fixtures of the runbook tests: what every page may rely on, made once, and a folder of its own for each page."""

import dataclasses
import os
import secrets
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from burst.rehearsal import bootstrap
from burst.sandbox import embedded_postgres, gateway, sandbox_folders, standing_sandbox
from burst.wiring import preparing
from tests import fixtures_aws, loopback_server, terraforming, waiting
from tests.faults import stage
from tests.faults.conftest import forked_commands
from tests.fixtures_postgres import TemplatedServer
from tests.matrix import stage as cloud_stage
from tests.runbooks import pages, playing, quick, runs

__all__ = ["forked_commands"]

PLAYED_SECONDS = 480.0 * waiting.SLOWEST
AS_TESTED = {
    "http://127.0.0.1:8080": "{host}",
    "min_window: 20s": "min_window: 3s",
    "headroom: 2 ": "headroom: 3 ",
    "http://ingest.internal:8080": "{host}",
}
"""What is changed of the example plans, so that a page's own runs take seconds and pass on a busy machine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Home:
    """What every page finds: the runs it names, an ingest, a database, the simulated AWS, and `burst` on its path."""

    site: runs.Site
    programs: Path
    sandbox_port: int

    @property
    def environment(self) -> Mapping[str, str]:
        """An operator's environment."""
        site, place = self.site, os.environ["PATH"]
        return {
            **site.aws.environment,
            **site.here.environment,
            "IG_API_KEY": site.here.api_key,
            "IG_ADMISSION_DSN": embedded_postgres.read_only_dsn(site.here.dsn),
            "IG_ADMIN_DSN": site.here.dsn,
            "BURST_RUNS_DIR": "runs",
            sandbox_folders.FOLDER_VARIABLE: str(self.programs / "sandbox"),
            "BURST_SANDBOX_PORT": str(self.sandbox_port),
            "PATH": f"{self.programs}:{Path(sys.executable).parent}:{place}",
            "TERM": "dumb",
        }

    def play(self, page: pages.Page, folder: Path) -> list[playing.Played]:
        """Plays a page in a folder of its own, in which the runs that it names are."""
        here = dataclasses.replace(self.site.here, folder=folder, _commands=[], _runs=[])
        try:
            self._furnish(here, runs.named(page))
            return playing.play(page.quick(), folder, self.environment, seconds=PLAYED_SECONDS)
        finally:
            here.end()

    def _furnish(self, here: stage.Stage, names: frozenset[str]) -> None:
        folder = here.folder
        folder.mkdir()
        (folder / "locustfiles").symlink_to(pages.ROOT / "locustfiles")
        (folder / "runbooks" / "plans").mkdir(parents=True)
        for plan in (pages.FOLDER / "plans").iterdir():
            text = plan.read_text()
            for written, tested in AS_TESTED.items():
                text = text.replace(written, tested.format(host=self.site.here.host))
            (folder / "runbooks" / "plans" / plan.name).write_text(text)
        (folder / "outputs.json").write_text(terraforming.outputs())
        runs.copy(names & runs.FINISHED.keys(), self.site, folder)
        for name in names & runs.UNFINISHED.keys():
            runs.UNFINISHED[name](dataclasses.replace(self.site, here=here), name)


@pytest.fixture
def home(furnished_home: Home, monkeypatch: pytest.MonkeyPatch) -> Home:
    """The session's home, with this process as the operator's."""
    fixtures_aws.become_operator(furnished_home.site.aws.cloud.world, monkeypatch)
    return furnished_home


@pytest.fixture(scope="session")
def furnished_home(
    simulated_aws: fixtures_aws.Shared,
    postgres_template: TemplatedServer,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Home]:
    """A home, with the finished runs that the pages name."""
    folder = tmp_path_factory.mktemp("runbooks")
    dsn = postgres_template.server.create_database(template=postgres_template.template)
    key = secrets.token_urlsafe(24)
    with gateway.start(dsn=dsn, api_key=key) as ingest, quick.started(folder):
        cloud = fixtures_aws.Cloud(
            world=simulated_aws.world, name="runbooks", ecs=simulated_aws.ecs, s3=simulated_aws.s3
        )
        site = runs.Site(
            here=stage.Stage(folder=folder, dsn=dsn, host=ingest.url, api_key=key),
            aws=cloud_stage.Stage(cloud=cloud, folder=folder / "aws", dsn=dsn, host=ingest.url, api_key=key),
        )
        site.aws.folder.mkdir()
        example = preparing.read_plan(preparing.RunRequest(plan_file=pages.FOLDER / "plans" / "ecs.yaml"))
        with fixtures_aws.operating(simulated_aws.world):
            bootstrap.furnish_account(example, python=sys.executable, api_key=key)
            runs.make_finished(frozenset().union(*map(runs.named, pages.every())), site)
        yield Home(site=site, programs=folder, sandbox_port=loopback_server.find_free_port())
        standing_sandbox.take_down(sandbox_folders.SandboxFolder(folder / "sandbox"))
        site.here.end()
        site.aws.end()
