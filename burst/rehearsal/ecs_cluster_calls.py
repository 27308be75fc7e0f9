"""The clusters and services of the simulated ECS, and the calls that create, read and scale them."""

import threading
from dataclasses import dataclass, field
from typing import Any

from burst.rehearsal import (
    armed_faults,
    ecs_call_checks,
    ecs_definition_calls,
    ecs_documents,
    ecs_refusals,
    ecs_tags,
    fleet,
    service_rollouts,
    settings,
    timers,
)


@dataclass(slots=True, kw_only=True)
class Cluster:
    """One cluster with its services by name."""

    name: str
    arn: str
    document: dict[str, Any]
    services: dict[str, service_rollouts.SimulatedService] = field(default_factory=dict)


class ClusterCalls:
    """Every cluster, by name."""

    def __init__(
        self,
        *,
        lock: threading.RLock,
        tags: ecs_tags.ResourceTags,
        definitions: ecs_definition_calls.DefinitionCalls,
        tasks: fleet.Fleet,
        options: settings.SimulationSettings,
        faults: armed_faults.ArmedFaults,
        timer: timers.Timers,
    ) -> None:
        self._lock = lock
        self._tags = tags
        self._definitions = definitions
        self._fleet = tasks
        self._faults = faults
        self._rollouts = service_rollouts.ServiceRollouts(
            lock=lock, timer=timer, seconds=options.service_seconds, now=faults.now
        )
        self._clusters: dict[str, Cluster] = {}

    def find(self, body: ecs_call_checks.Body) -> Cluster:
        """The cluster that a call names. Raises `RefusedError` if there is none."""
        cluster = self._clusters.get(ecs_call_checks.short_name(body.get("cluster", "default")))
        if cluster is None:
            raise ecs_refusals.RefusedError("ClusterNotFoundException", "Cluster not found.")
        return cluster

    def create_cluster(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """CreateCluster."""
        name = body.get("clusterName", "default")
        if not ecs_call_checks.is_name(name):
            raise ecs_refusals.invalid_parameter(f"clusterName {name!r} is not 1 to 255 letters, numbers, - and _.")
        with self._lock:
            cluster = self._clusters.get(name)
            if cluster is None:
                document = {
                    "clusterArn": ecs_call_checks.arn("cluster", name),
                    "clusterName": name,
                    "status": "ACTIVE",
                    "capacityProviders": body.get("capacityProviders", []),
                    "defaultCapacityProviderStrategy": body.get("defaultCapacityProviderStrategy", []),
                    "settings": body.get("settings", []),
                }
                cluster = Cluster(name=name, arn=document["clusterArn"], document=document)
                self._clusters[name] = cluster
                self._tags.set(cluster.arn, ecs_call_checks.read_tags(body))
        return {"cluster": self._describe_cluster(cluster)}

    def describe_clusters(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """DescribeClusters."""
        clusters: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        for name in body.get("clusters", ["default"]):
            short_name = ecs_call_checks.short_name(name)
            cluster = self._clusters.get(short_name)
            if cluster is None:
                failures.append({"arn": ecs_call_checks.arn("cluster", short_name), "reason": "MISSING"})
            else:
                clusters.append(self._describe_cluster(cluster))
        return {"clusters": clusters, "failures": failures}

    def create_service(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """CreateService."""
        cluster = self.find(body)
        name = body.get("serviceName", "")
        if not ecs_call_checks.is_name(name):
            raise ecs_refusals.invalid_parameter(f"serviceName {name!r} is not 1 to 255 letters, numbers, - and _.")
        definition = self._definitions.find(body.get("taskDefinition"))
        with self._lock:
            if name in cluster.services:
                raise ecs_refusals.invalid_parameter("Creation of service was not idempotent.")
            document = {
                "serviceArn": ecs_call_checks.arn("service", f"{cluster.name}/{name}"),
                "serviceName": name,
                "clusterArn": cluster.arn,
                "status": "ACTIVE",
                "launchType": body.get("launchType", "FARGATE"),
                "createdAt": ecs_documents.epoch_seconds(self._faults.now()),
                "events": [],
            }
            service = service_rollouts.SimulatedService(document=document, cluster_name=cluster.name)
            cluster.services[name] = service
            self._tags.set(str(document["serviceArn"]), ecs_call_checks.read_tags(body))
            service.desired = _read_desired(body)
            self._rollouts.deploy(service, definition["taskDefinitionArn"])
        return {"service": self._rollouts.describe(service)}

    def update_service(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """UpdateService."""
        service = self.find_service(body, body.get("service", ""))
        definition_arn = service.primary.definition_arn
        if "taskDefinition" in body:
            definition = self._definitions.find(body["taskDefinition"])
            if definition["status"] != "ACTIVE":
                raise ecs_refusals.RefusedError("ClientException", "TaskDefinition is inactive")
            definition_arn = definition["taskDefinitionArn"]
        desired = _read_desired(body) if "desiredCount" in body else service.desired
        with self._lock:
            service.desired = desired
            if body.get("forceNewDeployment") or definition_arn != service.primary.definition_arn:
                self._rollouts.deploy(service, definition_arn)
            else:
                self._rollouts.scale(service, desired)
        return {"service": self._rollouts.describe(service)}

    def find_service(self, body: ecs_call_checks.Body, name: str) -> service_rollouts.SimulatedService:
        """The service that a call names. Raises `RefusedError` if there is none."""
        service = self.find(body).services.get(ecs_call_checks.short_name(name))
        if service is None:
            raise ecs_refusals.RefusedError("ServiceNotFoundException", "Service not found.")
        return service

    def find_definition_of_task(self, cluster: Cluster, task: str) -> str | None:
        """The task definition of a service's running task, by its ARN; None for any other task."""
        definitions = (service.find_definition(task) for service in cluster.services.values())
        return next(filter(None, definitions), None)

    def describe_services(self, body: ecs_call_checks.Body) -> dict[str, Any]:
        """DescribeServices."""
        cluster = self.find(body)
        names = body.get("services", [])
        if not 1 <= len(names) <= ecs_call_checks.MOST_SERVICES:
            raise ecs_refusals.invalid_parameter(f"Services has to name 1 to {ecs_call_checks.MOST_SERVICES} services.")
        services: list[dict[str, Any]] = []
        failures: list[dict[str, str]] = []
        for name in names:
            short_name = ecs_call_checks.short_name(name)
            service = cluster.services.get(short_name)
            if service is None:
                arn = ecs_call_checks.arn("service", f"{cluster.name}/{short_name}")
                failures.append({"arn": arn, "reason": "MISSING"})
            else:
                short = self._faults.active("service-short") is not None
                services.append(self._rollouts.describe(service, gone=1 if short else 0))
        return {"services": services, "failures": failures}

    def _describe_cluster(self, cluster: Cluster) -> dict[str, Any]:
        statuses = [task.last_status for task in self._fleet.tasks() if task.cluster_arn == cluster.arn]
        return {
            **cluster.document,
            "runningTasksCount": statuses.count("RUNNING"),
            "pendingTasksCount": statuses.count("PENDING") + statuses.count("PROVISIONING"),
            "activeServicesCount": len(cluster.services),
            "registeredContainerInstancesCount": 0,
            "tags": self._tags.get(cluster.arn),
        }


def _read_desired(body: ecs_call_checks.Body) -> int:
    """The desired count of a call. Raises `RefusedError` for a negative one."""
    desired = int(body.get("desiredCount", 0))
    if desired < 0:
        raise ecs_refusals.invalid_parameter("desiredCount cannot be negative.")
    return desired
