"""A campaign whose evidence has a run control on S3: any machine sees it, goes on with it, and stops it."""

from pathlib import Path
from typing import Any

import pytest

from burst import evidence
from burst.cli import common, running
from burst.domain.basics import canonical, errors
from burst.wiring import campaign_rollups, campaigns
from tests import rolling_up
from tests.evidence import evidencing
from tests.fixtures_aws import Cloud


def begin(cloud: Cloud, folder: Path, reporter: running.RunReporter, until: str | None) -> campaigns.CampaignView:
    text = f"""\
schema: burst.campaign/v1
name: far
environment: dev
budget: {{max: 1h}}
evidence: {{local: {folder}, run_control: "{cloud.place}/rc"}}
steps:
  - name: first
    one_shot: {{command: ["true"], timeout: 20s}}
    undo: {{command: [touch, {folder}/undone], timeout: 20s}}
  - {{name: second, one_shot: {{command: ["true"], timeout: 20s}}, depends_on: [first]}}
"""
    return campaigns.begin(text, "campaign.yaml", None, campaigns.CampaignRequest(until=until), reporter)


@pytest.fixture
def reporter() -> running.RunReporter:
    output = common.Output()
    output.quiet = True
    return running.RunReporter(output)


def elsewhere(cloud: Cloud, view: campaigns.CampaignView, folder: Path) -> campaigns.CampaignAddress:
    """The campaign as another machine names it."""
    own = folder / campaigns.CAMPAIGNS / view.course.campaign_id
    return campaigns.CampaignAddress(folder=own, run_control=f"{cloud.place}/rc")


def test_another_machine_sees_a_campaign_goes_on_with_it_and_the_first_one_is_told(
    cloud: Cloud, tmp_path: Path, reporter: running.RunReporter
) -> None:
    view = begin(cloud, tmp_path / "here", reporter, "first")
    address = elsewhere(cloud, view, tmp_path / "there")
    seen = campaigns.look_anywhere(address)
    assert (seen.course, seen.file) == (view.course, view.file)
    assert not address.folder.exists()

    ended = campaigns.resume(address, campaigns.CampaignRequest(operator="bob"), reporter)

    assert (ended.course.outcome, ended.course.exit_code) == ("done", 0)
    assert ended.course.operators[-1] == "bob"
    assert campaigns.look_anywhere(elsewhere(cloud, view, tmp_path / "third")).course == ended.course
    with pytest.raises(errors.ControllerAtWork, match="nothing more is done here"):
        campaigns.resume(campaigns.CampaignAddress(folder=view.folder), campaigns.CampaignRequest(), reporter)


def test_another_machine_stops_a_campaign_and_its_steps_are_undone(
    cloud: Cloud, tmp_path: Path, reporter: running.RunReporter
) -> None:
    view = begin(cloud, tmp_path / "here", reporter, "first")

    stopped = campaigns.stop(elsewhere(cloud, view, tmp_path / "there"), "enough", reporter)

    assert (stopped.course.outcome, stopped.course.exit_code) == ("stopped", 3)
    assert stopped.course.stop is not None
    assert stopped.course.stop.reason == "enough"
    assert (tmp_path / "here" / "undone").exists()


def test_a_campaign_that_never_began_there_is_absent(
    cloud: Cloud, tmp_path: Path, reporter: running.RunReporter
) -> None:
    address = campaigns.CampaignAddress(folder=tmp_path / "far_none", run_control=f"{cloud.place}/rc")

    for act in (campaigns.look_anywhere, lambda where: campaigns.resume(where, campaigns.CampaignRequest(), reporter)):
        with pytest.raises(errors.EvidenceIncomplete):
            act(address)


def test_a_roll_up_is_published_to_every_place_and_holds_there(
    cloud: Cloud, tmp_path: Path, reporter: running.RunReporter
) -> None:
    lanes: list[dict[str, Any]] = []
    sources = {}
    for number, lane in enumerate(("window", "burst"), start=1):
        name = evidencing.run_id(number)
        contents = evidencing.published(evidencing.case(name))
        sources[lane] = evidencing.on_s3(cloud.s3, f"{cloud.place}/rc/{name}", contents)
        sha256 = canonical.digest(contents[evidencing.SNAPSHOT])
        lanes.append({"name": lane, "execution_id": name, "sha256": sha256, "attempts": 1, "lost_to_hold_seconds": 0})
    folders = [f"{cloud.place}/rc/m10_20260222T080908Z_4f7a1c", f"{cloud.place}/runs/p/m10"]
    families = {"semantic": ["window"], "scale": ["burst"]}
    order = rolling_up.make_order(
        lanes=lanes, families=families, require=list(families), campaign_sha256=None, folders=folders
    )

    verdict = campaign_rollups.roll_up(order, sources, tmp_path / order.execution_id)

    for place in folders[:1]:
        verified = evidence.verify(place)
        assert (verified.exit_code, verified.finding.sha256) == (0, verdict.sha256), verified.finding.why
    newest = evidence.latest(f"{cloud.place}/rc", phase="M10.J")
    assert newest.verified.finding.sha256 == verdict.sha256
    assert [ref for ref in verdict.snapshot.durable_publish_refs if ref.startswith(folders[1])]
    cloud.s3.delete_object(
        Bucket=cloud.place.split("/")[2],
        Key=f"{folders[1].split('/', 3)[3]}/rollup_lanes.json",
    )
    assert evidence.verify(folders[0]).exit_code == 8
