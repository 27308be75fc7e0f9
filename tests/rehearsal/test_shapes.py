"""The simulated AWS against botocore's service models: nothing that AWS does not send, and a list of all it leaves out.

When a new botocore knows a member or a stop code more, a test here names it: simulate it, or list it.
"""

import re
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore import config, exceptions

from burst.domain.tasks import tasks
from burst.rehearsal import aws_simulation, network, quotas
from tests import waiting
from tests.rehearsal import aws_clients, conftest, shapes

NOT_SIMULATED = {
    "Cluster": {"attachments", "attachmentsStatus", "configuration", "serviceConnectDefaults", "statistics"},
    "Container": {
        "gpuIds", "gpuSharingStrategy", "managedAgents", "memory", "memoryReservation",
        "neuronDeviceIds",
    },
    "Failure": {"detail"},
    "Service": {
        "availabilityZoneRebalancing", "capacityProviderStrategy", "createdBy", "currentServiceDeployment",
        "currentServiceRevisions", "deploymentConfiguration", "deploymentController", "enableECSManagedTags",
        "enableExecuteCommand", "healthCheckGracePeriodSeconds", "loadBalancers", "networkConfiguration",
        "placementConstraints", "placementStrategy", "platformFamily", "platformVersion", "propagateTags",
        "resourceManagementType", "roleArn", "schedulingStrategy", "serviceRegistries", "tags", "taskSets",
    },
    "Task": {
        "containerInstanceArn", "ephemeralStorage", "fargateEphemeralStorage", "inferenceAccelerators",
        "trustedExecutionSummary",
    },
    "TaskDefinition": {
        "deleteRequestedAt", "enableFaultInjection", "ephemeralStorage", "executionRoleArn", "inferenceAccelerators",
        "ipcMode", "pidMode", "placementConstraints", "proxyConfiguration", "requiresAttributes", "runtimePlatform",
        "taskRoleArn", "trustedExecutionConfiguration", "volumes",
    },
}  # fmt: skip
"""The members of the shapes that burst reads which the simulated ECS never answers with by itself. (A task definition
has every member that it was registered with.)"""
NO_STOP_CODE_OF_BURST: frozenset[str] = frozenset()
"""The stop codes of AWS that `tasks.StopCode` leaves out on purpose: they are kept as they are, and name no layer."""


class Watched:
    """A simulated AWS that has answered every operation of its ECS, and the check that all answers passed."""

    def __init__(self, aws: aws_simulation.AwsSimulation) -> None:
        self.aws = aws
        self.check = shapes.ShapeCheck()
        self.ecs = aws_clients.EcsCluster(aws=aws, client=self.make_client("ecs"))
        self.model = self.ecs.client.meta.service_model

    def make_client(self, service: str) -> Any:
        """A client of its own, so that only its answers are noted."""
        client = boto3.client(
            service,
            endpoint_url=self.aws.address,
            region_name="eu-west-2",
            aws_access_key_id=self.aws.environment["AWS_ACCESS_KEY_ID"],
            aws_secret_access_key="any",
            config=config.Config(retries={"mode": "standard", "total_max_attempts": 1}),
        )
        return self.check.watch(client)

    def play(self) -> None:
        """A whole life: cluster, definition, service, tasks that run, stop, fail to start and are missing."""
        self._play_resources()
        client, cluster = self.ecs.client, aws_clients.CLUSTER
        definition = self.ecs.register("life", {"name": "app", "command": [*aws_clients.STAYS], "stopTimeout": 2})
        spot = [{"capacityProvider": "FARGATE_SPOT", "weight": 1}]
        fields = {"cpu": "256", "memory": "512"}
        parameters = {"tags": [{"key": "burst:run", "value": "r1"}], "startedBy": "burst/life", "overrides": fields}
        arns = self.ecs.run(definition, capacityProviderStrategy=spot, **parameters)
        self.ecs.wait(arns[0], "RUNNING")
        client.describe_tasks(cluster=cluster, tasks=[*arns, "a" * 32], include=["TAGS"])
        client.list_tasks(cluster=cluster, maxResults=1)
        for label in ("fails-to-start", "capacity"):
            self.aws.faults.arm(label)
            arns += self.ecs.run(definition, count=2)
            self.aws.faults.disarm(label)
        self.ecs.wait(self.ecs.start("absent", ("no-such-program",)), "STOPPED")
        self.ecs.stop(arns[0])
        self.aws.faults.arm("infrastructure-health")
        waiting.until(
            lambda: "InfrastructureHealth" in {self.ecs.describe(arn).get("stopCode") for arn in arns},
            what="a task that AWS ends",
        )

    def _play_resources(self) -> None:
        client, cluster = self.ecs.client, aws_clients.CLUSTER
        client.create_cluster(clusterName=cluster, settings=[{"name": "containerInsights", "value": "disabled"}])
        client.describe_clusters(clusters=[cluster, "none"], include=["TAGS"])
        definition = self.ecs.register(
            "resources", {"name": "app", "command": ["true"]}, requiresCompatibilities=["FARGATE"], cpu="256",
            memory="512", networkMode="awsvpc",
        )  # fmt: skip
        client.tag_resource(resourceArn=definition, tags=[{"key": "team", "value": "load"}])
        client.list_tags_for_resource(resourceArn=definition)
        client.describe_task_definition(taskDefinition=definition, include=["TAGS"])
        client.list_task_definitions(familyPrefix="resources")
        service: dict[str, Any] = {"cluster": cluster, "taskDefinition": definition}
        client.create_service(serviceName="writer", desiredCount=1, launchType="FARGATE", **service)
        client.update_service(cluster=cluster, service="writer", desiredCount=2)
        client.update_service(cluster=cluster, service="writer", forceNewDeployment=True)
        client.list_tasks(cluster=cluster, serviceName="writer")
        client.describe_services(cluster=cluster, services=["writer", "none"])
        client.deregister_task_definition(taskDefinition=definition)
        self.make_client("service-quotas").get_service_quota(ServiceCode="fargate", QuotaCode=next(iter(quotas.NAMES)))
        aws_simulation.add_network(self.aws.address, ["subnet-a", "sg-a"])
        ec2 = self.make_client("ec2")
        ec2.describe_subnets(SubnetIds=["subnet-a"])
        ec2.describe_security_groups(GroupIds=["sg-a"])
        ec2.describe_route_tables(Filters=[{"Name": "vpc-id", "Values": [network.VPC]}])


@pytest.fixture(scope="module")
def watched(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """Played once for this file: what does not fit a shape fails every test."""
    with aws_simulation.start(tmp_path_factory.mktemp("aws"), options=conftest.QUICK) as simulation:
        played = Watched(simulation)
        played.play()
        yield played


def test_every_operation_of_the_simulated_ecs_answers_in_botocores_shapes(watched: Watched) -> None:
    with pytest.raises(exceptions.ClientError) as raised:
        watched.ecs.client.delete_cluster(cluster=aws_clients.CLUSTER)
    operations = re.findall(r"[A-Z]\w+", str(raised.value).partition("it has ")[2])

    assert len(operations) > 10
    assert set(operations) - watched.check.operations == set()


@pytest.mark.parametrize("shape", NOT_SIMULATED)
def test_a_member_that_aws_adds_is_simulated_or_listed(watched: Watched, shape: str) -> None:
    known = set(watched.model.shape_for(shape).members)

    assert known - watched.check.members[shape] == NOT_SIMULATED[shape]


def test_a_stop_code_that_aws_adds_is_known_or_listed(watched: Watched) -> None:
    codes = set(watched.model.shape_for("TaskStopCode").enum)

    assert codes - set(tasks.StopCode) - NO_STOP_CODE_OF_BURST == set()
    assert codes >= NO_STOP_CODE_OF_BURST


UNFIT = {
    "a member that is not known": ({"taskArn": "a", "taskName": "b"}, "botocore does not know taskName"),
    "a type": ({"version": "1"}, "'1' is no long"),
    "a truth for a number": ({"version": True}, "True is no long"),
    "a null": ({"stopCode": None}, "None is no string"),
    "a value of an enumeration": ({"stopCode": "Bored"}, "'Bored' is none of TaskFailedToStart"),
    "a list": ({"containers": {}}, "{} is no list"),
    "in a list": ({"containers": [{"exitCode": "0"}]}, "task.containers[].exitCode: '0' is no integer"),
    "a time in words": ({"startedAt": "2026-01-01T00:00:00Z"}, "is no timestamp"),
}


@pytest.mark.parametrize("unfit", UNFIT)
def test_an_answer_that_does_not_fit_is_told(watched: Watched, unfit: str) -> None:
    value, problem = UNFIT[unfit]

    problems = shapes.ShapeCheck().find_problems(value, watched.model.shape_for("Task"), "task")

    assert len(problems) == 1
    assert problem in problems[0]
