"""Attempts of a phase under run control on S3: claimed beside the runs, with the verdicts that lie there."""

import threading
from concurrent import futures

from burst.control import attempting
from burst.domain.basics import canonical
from burst.domain.documents import attempts, document_names
from burst.domain.plan import catalogues, plans
from burst.evidence import places
from burst.wiring import attempt_places
from burst.wiring.targets import ecs_places
from tests import cases, waiting
from tests.fixtures_aws import Cloud


def run_plan(cloud: Cloud, number: int) -> plans.Plan:
    evidence = {"run_control": f"{cloud.place}/rc", "run_scoped": f"{cloud.place}/runs"}
    return cases.plan(target=cases.ECS, evidence=evidence, execution_id=f"m10_20260221T020923Z_{number:06x}")


def test_attempts_on_s3_are_numbered_under_run_control_and_are_no_runs_there(cloud: Cloud) -> None:
    def claim(number: int) -> attempts.AttemptClaim:
        plan = run_plan(cloud, number)
        where = attempt_places.open_places(plan, cases.moment(900), cases.moment(0))
        return attempting.claim(plan, "a" * 64, cases.moment(number), where)

    first = claim(1)
    snapshot = canonical.encode({"execution_id": first.execution_id, "overall_pass": False})
    opener = ecs_places.PlaceOpener(run_plan(cloud, 1), cases.moment(900), cases.moment(0))
    opener.open(f"{cloud.place}/rc/{first.execution_id}").put_once(
        document_names.snapshot_name("m10_f", catalogues.Kind.BURST), snapshot
    )

    second = claim(2)

    assert (first.number, second.number) == (1, 2)
    assert [(entry.verdict, entry.sha256) for entry in second.earlier] == [("HOLD", canonical.digest(snapshot))]
    assert opener.open(f"{cloud.place}/rc/attempts/m10_f").names() == ["1.json", "2.json"]
    listed = places.Opener().runs(f"{cloud.place}/rc")
    assert list(listed.newest_first("m10", cases.moment(99))) == [first.execution_id]


def test_16_attempts_begun_at_once_on_s3_have_16_numbers(cloud: Cloud) -> None:
    where = attempt_places.open_places(run_plan(cloud, 0), cases.moment(900), cases.moment(0))
    barrier = threading.Barrier(16)

    def begin(number: int) -> int:
        barrier.wait(timeout=waiting.PROCESS_SECONDS)
        return attempting.claim(run_plan(cloud, number), "a" * 64, cases.moment(number), where).number

    with futures.ThreadPoolExecutor(max_workers=16) as pool:
        numbers = list(pool.map(begin, range(1, 17)))

    assert sorted(numbers) == list(range(1, 17))
