"""`burst report`: a run is named as everywhere else: by folder, id, bundle or place on S3."""

from pathlib import Path

import pytest

from burst import evidence
from burst.cli import main
from tests import fixtures_aws
from tests.evidence import evidencing


def test_a_run_on_s3_gives_the_report_that_stands_there(cloud: fixtures_aws.Cloud, tmp_path: Path) -> None:
    execution_id = evidencing.run_id(1)
    contents = evidencing.published(evidencing.case(execution_id))
    place = evidencing.on_s3(cloud.s3, f"{cloud.place}/{execution_id}", contents)

    assert main.main(["report", place, "-o", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_bytes() == contents["report.html"]


@pytest.mark.parametrize("form", ["folder", "bundle"])
def test_folder_and_bundle_give_the_same_report(form: str, tmp_path: Path) -> None:
    execution_id = evidencing.run_id(1)
    contents = evidencing.published(evidencing.case(execution_id))
    run = evidencing.folder(tmp_path / "runs", execution_id, contents)
    if form == "bundle":
        run = tmp_path / "bundle.zip"
        run.write_bytes(evidence.bundle(tmp_path / "runs" / execution_id))

    assert main.main(["report", str(run), "-o", str(tmp_path / "page.html")]) == 0
    assert (tmp_path / "page.html").read_bytes() == contents["report.html"]
