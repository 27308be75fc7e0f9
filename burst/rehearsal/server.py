"""The process of one simulation: puts its parts together, writes the endpoint's port, and ends with its parent.

Only the parent holds the other end of standard input, so the parent's death is an end of file here. This process holds
the agent's standard input in the same way, so its own death makes the agent end every container. So no process stays
behind, however the parent or this process dies.
"""

import json
import logging
import os
import select
import signal
import sys
from pathlib import Path

from burst.rehearsal import (
    agent_client,
    armed_faults,
    ecs_api,
    endpoint,
    endpoint_server,
    fargate_platform,
    fault_strikes,
    fleet,
    log_driver,
    moto_server,
    network,
    quotas,
    rehearsal_api,
    scheduler_api,
    settings,
    timers,
)

_PARENT_POLL_SECONDS = 1.0


def serve(folder: Path, options: settings.SimulationSettings) -> None:
    """Simulates AWS until the parent closes standard input or dies."""
    parent_pid = os.getppid()
    agent = agent_client.AgentClient()
    try:
        port = _start_simulation(folder, options, agent)
        sys.stdout.write(json.dumps({"port": port}) + "\n")
        sys.stdout.flush()
        while os.getppid() == parent_pid:
            readable, _, _ = select.select([0], [], [], _PARENT_POLL_SECONDS)
            if readable and os.read(0, 1) == b"":
                return
    finally:
        agent.close()


def _start_simulation(folder: Path, options: settings.SimulationSettings, agent: agent_client.AgentClient) -> int:
    """Connects the parts, starts them and returns the endpoint's port."""
    faults = armed_faults.ArmedFaults()
    timer = timers.Timers()
    moto = moto_server.MotoServer(agent, folder)
    logs = log_driver.LogDriver(lambda: moto.client("logs"), lambda: fault_strikes.logs_are_held(faults))
    platform = fargate_platform.FargatePlatform(moto=moto, logs=logs)
    tasks = fleet.Fleet(
        folder=folder / "tasks", options=options, faults=faults, timer=timer, agent=agent, platform=platform
    )
    plan_network, fargate_quotas = network.Network(), quotas.Quotas(tasks.count_vcpu)
    rehearsal = rehearsal_api.RehearsalApi(
        tasks=tasks, armed=faults, plan_network=plan_network, fargate_quotas=fargate_quotas
    )
    scheduler = scheduler_api.SchedulerApi(
        options=options, faults=faults, timer=timer, make_client=lambda: moto.client("scheduler")
    )
    ecs = ecs_api.EcsApi(tasks=tasks, options=options, faults=faults, timer=timer)
    aws = endpoint.Endpoint(
        faults=faults,
        ecs=ecs,
        moto_address=moto.address,
        scheduler=scheduler.answer,
        rehearsal=rehearsal.answer,
        before_moto={
            "ec2": plan_network.answer,
            "servicequotas": fargate_quotas.answer,
            "monitoring": fargate_quotas.answer_metric,
        },
    )
    rehearsal.calls, rehearsal.register_pinned = aws.calls, ecs.register_pinned
    scheduler.start_firing(aws.invoke_ecs, lambda: aws.find_outage("scheduler", "scheduler") is not None)
    fault_strikes.start_striking(faults=faults, tasks=tasks, rehearsal=rehearsal, timer=timer)
    server = endpoint_server.EndpointServer(aws, faults.now)
    platform.address = f"http://127.0.0.1:{server.port}"
    server.serve_in_background()
    return server.port


def main() -> None:
    """Runs `python -m burst.rehearsal.server FOLDER SETTINGS`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C
    folder = Path(sys.argv[1])
    logging.basicConfig(filename=folder / "rehearsal.log", level=logging.WARNING, format="%(asctime)s %(message)s")
    serve(folder, settings.decode(sys.argv[2]))


if __name__ == "__main__":
    main()
