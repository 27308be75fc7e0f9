"""The history as a page, and the site of a place: trends of sound runs, their age, a report each, written once."""

from pathlib import Path

import pytest

from burst import evidence
from burst.cli import main
from burst.domain.basics import errors
from burst.report import index_pages
from tests import cases, fixtures_aws
from tests.evidence import evidencing
from tests.unit.test_report import Page


def make_runs(folder: Path) -> list[str]:
    """Three runs of a phase: a PASS, a HOLD, and one whose plan is gone; their ids, the oldest first."""
    ids = [evidencing.run_id(number) for number in (1, 2, 3)]
    for execution_id, passing in zip(ids, (True, False, True), strict=True):
        contents = evidencing.published(evidencing.case(execution_id, passing=passing))
        evidencing.folder(folder, execution_id, contents)
    (folder / ids[2] / "plan.json").unlink()
    return ids


def list_links(page: Page) -> list[str]:
    """Where the links of a page lead."""
    return [str(attributes["href"]) for tag, attributes in page.tags if tag == "a"]


def test_a_site_leads_from_phases_to_runs_and_to_their_reports(tmp_path: Path) -> None:
    first, second, lost = make_runs(tmp_path / "runs")

    files = evidence.site(tmp_path / "runs", now=cases.moment(3 * 86400.0))

    assert list_links(Page(files["index.html"])) == ["m10_f.html", "of_no_sound_evidence.html"]
    phase = Page(files["m10_f.html"])
    assert list_links(phase) == ["index.html", f"report_{second}.html", f"report_{first}.html"]
    assert files[f"report_{first}.html"] == (tmp_path / "runs" / first / "report.html").read_bytes()
    assert f"report_{lost}.html" not in files
    assert "missing-document" in Page(files["of_no_sound_evidence.html"]).text
    assert "The newest run ended 2 days ago" in phase.text


def test_the_same_runs_and_instant_give_the_same_site(tmp_path: Path) -> None:
    make_runs(tmp_path / "runs")
    now = cases.moment(86400.0)

    assert evidence.site(tmp_path / "runs", now=now) == evidence.site(tmp_path / "runs", now=now)


@pytest.mark.parametrize(
    ("days", "words", "stale"),
    [
        (0.01, "the newest run ended 14m ago", False),
        (1.5, "the newest run ended 1 day ago", False),
        (6.9, "the newest run ended 6 days ago", False),
        (8.2, "no burst for 8 days", True),
    ],
)
def test_a_phase_says_how_long_ago_its_newest_run_was(days: float, words: str, stale: bool) -> None:
    run = index_pages.IndexedRun(
        execution_id=cases.EXECUTION_ID, state="ok", why="", snapshot=cases.passing().verdict().snapshot
    )
    ended = cases.moment(990.0)

    page = index_pages.describe_phase("M10.F", [run], now=ended + (cases.moment(days * 86400.0) - cases.moment(0.0)))

    assert (page.age, page.stale) == (words, stale)


def test_a_phase_without_a_known_end_is_called_old() -> None:
    run = index_pages.IndexedRun(execution_id="by_hand", state="absent", why="no evidence", snapshot=None)

    page = index_pages.describe_phase("M10.F", [run], now=cases.moment(0.0))

    assert page.stale
    assert page.age == "nothing tells when the newest run was"
    assert page.trends == []


def test_trends_hold_every_sound_run_and_no_other(tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]) -> None:
    make_runs(tmp_path / "runs")

    assert main.main(["history", str(tmp_path / "runs"), "--phase", "M10.F", "--html"]) == 0

    page = Page(capfdbinary.readouterr().out)
    circles = [attributes["class"] for tag, attributes in page.tags if tag == "circle"]
    assert circles == ["good run", "bad run"] * 2  # of the multiplier, and of the ratio; nobody knows p95 and cost
    assert "missing-document" in page.text


def test_a_site_is_published_to_a_folder_of_its_own_and_never_changed(
    cloud: fixtures_aws.Cloud, tmp_path: Path
) -> None:
    make_runs(tmp_path / "runs")
    words = [
        "evidence",
        "site",
        str(tmp_path / "runs"),
        "-o",
        str(tmp_path / "site"),
        "--publish",
        f"{cloud.place}/site",
    ]

    assert main.main(words) == 0
    assert main.main(words) == 2  # the folder exists

    bucket, _, prefix = cloud.place.removeprefix("s3://").partition("/")
    keys = [entry["Key"] for entry in cloud.s3.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/site/")["Contents"]]
    assert {key.rpartition("/")[2] for key in keys} == {path.name for path in (tmp_path / "site").iterdir()}
    assert len({key.rpartition("/")[0] for key in keys}) == 1
    head = cloud.s3.head_object(Bucket=bucket, Key=keys[0])
    assert head["ContentType"].startswith("text/html")
    with pytest.raises(errors.Conflict):
        evidence.publish_site(f"s3://{bucket}/{keys[0].rpartition('/')[0]}", {"index.html": b"another"})
