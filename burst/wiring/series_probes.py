"""Probes of observed series whose questions leave burst: programs of this machine, CloudWatch, Prometheus, ECS."""

from burst import ports
from burst.adapters import prometheus_probe
from burst.adapters.local import local_programs
from burst.control import probes
from burst.domain.plan import observe_sections, plans


def open_probes(plan: plans.Plan, clock: ports.Clock) -> dict[str, ports.Probe]:
    """The probe of each series that asks no receipts and no document, by the name of the series; asks nothing yet."""
    opened = ((series.name, _open_probe(plan, series, clock)) for series in plan.observed_series)
    return {name: probe for name, probe in opened if probe is not None}


def _open_probe(plan: plans.Plan, series: observe_sections.SeriesSection, clock: ports.Clock) -> ports.Probe | None:
    if series.command is not None:
        pointers = probes.find_pointers(series)
        return probes.CommandProbe(local_programs.LocalPrograms(), series.argv(plan.scope), pointers, clock)
    if series.prometheus is not None:
        return prometheus_probe.PrometheusProbe(series.prometheus, clock)
    if series.cloudwatch is not None:
        from burst.adapters.aws import cloudwatch_probe

        return cloudwatch_probe.CloudWatchProbe(series.cloudwatch, clock)
    if series.service is not None:
        from burst.adapters.aws import ecs_service_probe

        return ecs_service_probe.EcsServiceProbe(str(plan.target.cluster), series.service, clock)
    return None
