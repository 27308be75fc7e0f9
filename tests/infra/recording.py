"""What each role is asked for: the needs of every call that burst's commands make as that role, from rehearsed runs.

The controller's, the tasks' and the counter's come from one `burst rehearse`; the reaper's, the scheduler's, the
consumer's and prune's from their commands on the simulated AWS, on the places that the module made; the execution
role's from the task definitions, because the platform's own calls leave no trace in a rehearsal.
"""

import contextlib
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from burst.adapters import signing
from burst.adapters.aws import alarms, cloudwatch_probe, s3_leases, scheduler
from burst.adapters.local import system_clock
from burst.cli import main
from burst.domain.basics import errors, instants
from burst.domain.documents import document_names
from burst.domain.plan import catalogues, observe_sections, plans
from burst.domain.tasks import masters
from burst.domain.verdict import attestations, snapshots
from burst.kit import aws
from burst.rehearsal import bootstrap, settings
from burst.rehearsal.permissions import Need
from tests import cases, fixtures_aws, waiting
from tests.evidence import evidencing
from tests.infra import applying
from tests.infra.applying import HERE

CLOCK = system_clock.SystemClock()
BUCKET = "burst-evidence"
RUN_CONTROL = f"s3://{BUCKET}/evidence/dev/run_control"
UNDO = "undo-restart-writer"
RUN_SCOPED = f"s3://{BUCKET}/evidence/runs"
NEEDS_NO_PERMISSION = {"sts:GetCallerIdentity"}
REHEARSED = {"controller": "operator", "task": "burst-dev-task", "counter": "burst-dev-counter"}
"""The caller that the simulated AWS knows, by role."""


def everything(
    applied: applying.Applied, rehearsed: Mapping[str, Any], cloud: fixtures_aws.Cloud, folder: Path
) -> dict[str, list[Need]]:
    """What each role is asked for, with what AWS asks for beside each call."""
    bucket = {"LocationConstraint": settings.REGION}
    cloud.s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration=bucket)
    key = str(aws.client("kms").create_key(KeySpec="ECC_NIST_P256", KeyUsage="SIGN_VERIFY")["KeyMetadata"]["Arn"])
    runs = _Runs(cloud, key)
    direct = {role: _asked(rehearsed, principal) for role, principal in REHEARSED.items()}
    direct["controller"] += runs.signed
    direct["controller"] += _needs(cloud, _halted)
    direct["task"] += _needs(cloud, _master_met)
    direct |= _overdue_task_ended(applied, cloud)
    direct["controller"] += _task_stopped(cloud)
    direct["consumer"] = _needs(cloud, lambda: runs.consumed(folder))
    direct["prune"] = _needs(cloud, runs.pruned)
    direct["execution"] = [need for family in applied.definitions() for need in _started(applied, family)]
    return {
        role: [each for need in needs for each in (_renamed(need, key), *_beside(need, applied))]
        for role, needs in direct.items()
    }


def _asked(rehearsed: Mapping[str, Any], principal: str) -> list[Need]:
    """What a caller of the rehearsal would have been asked for, its one log group taken for the counter's."""
    text = Path(rehearsed["permissions"]).read_text()
    found = json.loads(text.replace(f"log-group:{bootstrap.LOG_GROUP}:", "log-group:/burst/dev/counter:"))["needs"]
    return [
        Need(action=one["action"], resource=one["resource"], context=one["context"])
        for one in found
        if one["principal"] == principal and one["action"] not in NEEDS_NO_PERMISSION
    ]


def _needs(cloud: fixtures_aws.Cloud, act: Callable[[], object]) -> list[Need]:
    """What this process is asked for meanwhile."""
    before = len(cloud.world.calls())
    act()
    return _of(cloud.world.calls()[before:], "operator")


def _renamed(need: Need, key: str) -> Need:
    """The signing key of the simulated AWS taken for the one that the module was told."""
    resource = applying.SIGNING_KEY if need.resource == key else need.resource
    return Need(action=need.action, resource=resource, context=need.context)


def _beside(need: Need, applied: applying.Applied) -> list[Need]:
    """What AWS asks for beside a need, without a trace in the call: the keys of what is read and written, and the
    roles of a task."""
    evidence_key = applied.arn("aws_kms_key", "evidence")
    by_s3 = {"kms:ViaService": f"s3.{settings.REGION}.amazonaws.com"}
    if need.action == "s3:PutObject":
        return [Need(action="kms:GenerateDataKey", resource=evidence_key, context=by_s3)]
    if need.action == "s3:GetObject":
        return [Need(action="kms:Decrypt", resource=evidence_key, context=by_s3)]
    if need.action.startswith("ssm:GetParameter"):
        by_ssm = {"kms:ViaService": f"ssm.{settings.REGION}.amazonaws.com"}
        return [Need(action="kms:Decrypt", resource=applying.SECRETS_KEY, context=by_ssm)]
    passed = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
    if need.action == "ecs:RegisterTaskDefinition":
        return [Need(action="iam:PassRole", resource=applying.SERVICE_ROLE, context=passed)]
    if need.action == "ecs:RunTask":
        return [Need(action="iam:PassRole", resource=role, context=passed) for role in _roles(need, applied)]
    return []


def _roles(launch: Need, applied: applying.Applied) -> list[str]:
    family = launch.resource.rpartition("/")[2].partition(":")[0]
    if family == applying.REPORTER:
        return [applying.REPORTER_ROLE]
    definition = applied.definitions()[family]
    return [str(definition[name]) for name in ("task_role_arn", "execution_role_arn")]


def _started(applied: applying.Applied, family: str) -> list[Need]:
    """What the platform does before the containers of a task definition start."""
    account, _, repository = applying.IMAGE.partition("@")[0].partition("/")
    image = f"arn:aws:ecr:{settings.REGION}:{account.partition('.')[0]}:repository/{repository}"
    pulled = ("ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer")
    needs = [Need(action="ecr:GetAuthorizationToken", resource="*")]
    needs += [Need(action=action, resource=image) for action in pulled]
    for container in applied.containers(family):
        needs += [Need(action="ssm:GetParameters", resource=one["valueFrom"]) for one in container.get("secrets", ())]
        group = container.get("logConfiguration", {}).get("options", {}).get("awslogs-group")
        stream = f"arn:aws:logs:{HERE}:log-group:{group}:log-stream:burst/{container['name']}/1"
        written = ("logs:CreateLogStream", "logs:PutLogEvents") if group else ()
        needs += [Need(action=action, resource=stream) for action in written]
    return needs


class _Runs:
    """A PASS and a HOLD after it, signed, as a controller publishes them to both places of the module."""

    def __init__(self, cloud: fixtures_aws.Cloud, key: str) -> None:
        self._key = f"kms:{key}"
        self._ids = [evidencing.run_id(number) for number in (1, 2)]
        self._scopes = [f"platform_2026021{number}T234150Z" for number in (1, 2)]
        self.signed: list[Need] = []
        for name, scope, passing in zip(self._ids, self._scopes, (True, False), strict=True):
            places = {"run_control": RUN_CONTROL, "run_scoped": RUN_SCOPED, "sign": {"key": self._key}}
            case = evidencing.case(name, passing=passing, scope=scope, evidence=places)
            contents = evidencing.published(case)
            self.signed += _needs(cloud, lambda contents=contents: self._sign(contents))  # type: ignore[misc]
            for folder in case.plan.folders(name):
                evidencing.on_s3(cloud.s3, folder, contents)

    def _sign(self, contents: dict[str, bytes]) -> None:
        verdict = snapshots.Verdict.read(contents[evidencing.SNAPSHOT])
        subjects = attestations.subjects(evidencing.SNAPSHOT, verdict, contents[document_names.REPORT])
        statement = attestations.statement(subjects, verdict.snapshot)
        contents[document_names.signature_name("m10_f", catalogues.Kind.BURST)] = signing.open_signer(
            self._key, system_clock.SystemClock()
        ).sign(statement)

    def consumed(self, folder: Path) -> None:
        """Every command of a consumer, on S3."""
        one, two = (f"{RUN_CONTROL}/{name}" for name in self._ids)
        _ends(0, "verify", one, "--require-signature", "--key", self._key)
        _ends(0, "evidence", "verify", f"{RUN_SCOPED}/{self._scopes[0]}/m10")
        _ends(3, "evidence", "latest", RUN_CONTROL, "--phase", "M10.F")
        _ends(3, "evidence", "diff", one, two)
        _ends(0, "evidence", "ls", RUN_CONTROL)
        _ends(0, "history", RUN_CONTROL, "--phase", "M10.F")
        _ends(0, "evidence", "bundle", one, "-o", str(folder / "bundle.zip"))

    def pruned(self) -> None:
        """The documents of every run, in each place."""
        for place in (RUN_CONTROL, *(f"{RUN_SCOPED}/{scope}" for scope in self._scopes)):
            _ends(0, "evidence", "prune", place, "--keep", "0", "--grace", "0s", "--yes")
        _ends(8, "verify", f"{RUN_CONTROL}/{self._ids[0]}")


def _halted() -> None:
    """Every run is halted and let go on again, the alarms of a plan are looked at, and a metric of its series."""
    _ends(0, "halt", "--reason", "a drill", "--run-control", RUN_CONTROL)
    _ends(0, "halt", "--run-control", RUN_CONTROL)
    _ends(0, "halt", "--lift", "--run-control", RUN_CONTROL)
    alarms.CloudWatchAlarms().look([f"arn:aws:cloudwatch:{HERE}:alarm:ingest-5xx"])
    metric = observe_sections.CloudWatchSection(namespace="AWS/Kafka", metric="MaxOffsetLag")
    with contextlib.suppress(errors.Unavailable):  # nobody writes it here
        cloudwatch_probe.CloudWatchProbe(metric, CLOCK).ask(give_up_at=CLOCK.now())


def _task_stopped(cloud: fixtures_aws.Cloud) -> list[Need]:
    """What the controller is asked for when it stops a task itself: in a rehearsal tasks may all end by their lease."""
    ends = fixtures_aws.container(entry_point=fixtures_aws.ENDS_ON_TERM)
    task = cloud.start_task(cloud.register(ends, family="burst-dev-task"), cluster="burst-dev")
    return _needs(cloud, lambda: aws.call("ecs:StopTask", cloud.ecs.stop_task, cluster="burst-dev", task=task))


def _master_met() -> None:
    """The task with the master says where it is, and another one reads it."""
    place = s3_leases.from_uri(f"{RUN_CONTROL}/m10_1/control.json")
    told = masters.MasterAddress(host="10.0.0.7", port=5557, version="locust 2, burst 0")
    place.tell_master(told)
    assert place.find_master() == told


def _ends(code: int, *words: str) -> None:
    """A command, within this process for speed, which has to end so."""
    assert main.main([*words, "--quiet"]) == code, words


def _overdue_task_ended(applied: applying.Applied, cloud: fixtures_aws.Cloud) -> dict[str, list[Need]]:
    """What reaper and scheduler are asked for while a schedule entry fires, and the reaper it runs ends a task past
    its deadline and puts back the service that the run had scaled."""
    cloud.ecs.create_cluster(clusterName="burst-dev")
    ends = fixtures_aws.container(entry_point=fixtures_aws.ENDS_ON_TERM)
    task = cloud.register(ends, family="burst-dev-task")
    (told,) = applied.containers("burst-dev-reaper")
    cloud.register(fixtures_aws.container("reaper", environment=told["environment"]), family="burst-dev-reaper")
    overdue = cloud.start_task(
        task,
        cluster="burst-dev",
        startedBy=f"burst/{cloud.name}",
        tags=[{"key": "burst:deadline", "value": instants.text(instants.later(datetime.now(UTC), -60))}],
    )
    fixtures_aws.leave_scaled(
        cloud,
        cloud.name,
        cluster="burst-dev",
        definition=task,
        service=applying.SERVICE,
        run_control=RUN_CONTROL,
    )
    undoing = fixtures_aws.container("undo", entry_point=fixtures_aws.GUARD)
    definition = cloud.register(undoing, family=applying.REPORTER)
    fixtures_aws.leave_drill(cloud, _drilled_plan(cloud.name, definition), undone_by=UNDO)
    cloud.make_schedule_group("burst-dev")
    before = len(cloud.world.calls())
    scheduler.Scheduler("burst-dev", clock=system_clock.SystemClock(), soonest_seconds=1).arm(
        cloud.name,
        due_at=datetime.now(UTC),
        reaper=scheduler.ReaperTask(
            cluster_arn=f"arn:aws:ecs:{HERE}:cluster/burst-dev",
            task_definition_arn=f"arn:aws:ecs:{HERE}:task-definition/burst-dev-reaper",
            container="reaper",
            role_arn=f"arn:aws:iam::{settings.ACCOUNT}:role/burst-dev-scheduler",
            subnets=("subnet-a",),
            security_groups=("sg-a",),
        ),
    )

    def ended() -> bool:
        here = [one for one in cloud.world.containers() if "/burst-dev/" in one.task_arn]
        return {one.name for one in here} == {"burst", "reaper", "undo"} and not any(one.running for one in here)

    waiting.until(ended, seconds=120, what=f"the reaper to end {overdue}, and then itself")
    (service,) = cloud.ecs.describe_services(cluster="burst-dev", services=[applying.SERVICE])["services"]
    assert service["desiredCount"] == 1
    calls = cloud.world.calls()[before:]
    principals = {"reaper": "burst-dev-reaper", "scheduler": "scheduler"}
    return {role: _of(calls, principal) for role, principal in principals.items()}


def _drilled_plan(execution_id: str, definition: str) -> plans.Plan:
    """The plan of a run that restarted a service and left its undo to the sweeper."""
    drill = {
        "name": "restart-writer",
        "at": "1m",
        "restart": {"service": applying.SERVICE},
        "undo": ["true"],
        "task_definition": definition,
        "timeout": "30s",
        "recover_within": "1m",
        "recovered_when": {"series": "lag", "at_most": 10, "sustained": "60s"},
    }
    return cases.plan(
        execution_id=execution_id,
        target={**cases.ECS, "cluster": "burst-dev"},
        observe=cases.observe(),
        during=[drill],
        evidence={"run_control": RUN_CONTROL, "run_scoped": RUN_SCOPED},
    )


def _of(calls: Sequence[Any], principal: str) -> list[Need]:
    return [Need(**need) for call in calls if call.principal == principal for need in call.needs]
