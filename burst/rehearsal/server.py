"""The simulation's own process: puts the parts together, says where it listens, and ends with its parent.

It reads standard input, whose other end only the parent has: the parent's death is an end of file here, and the end of
this process is one for the container agent, which then ends every container. So no way of dying leaves a process.
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
    """Simulates until the parent hangs up."""
    parent_pid = os.getppid()
    processes = agent_client.AgentClient()
    try:
        port = _build(folder, options, processes)
        sys.stdout.write(json.dumps({"port": port}) + "\n")
        sys.stdout.flush()
        while os.getppid() == parent_pid:
            readable, _, _ = select.select([0], [], [], _PARENT_POLL_SECONDS)
            if readable and os.read(0, 1) == b"":
                return
    finally:
        processes.close()


def _build(folder: Path, options: settings.SimulationSettings, processes: agent_client.AgentClient) -> int:
    faults = armed_faults.ArmedFaults()
    later = timers.Timers()
    services = moto_server.MotoServer(processes, folder)
    held = fault_strikes.logs_held(faults)
    streams = log_driver.LogDriver(lambda: services.client("logs"), held)
    around = fargate_platform.FargatePlatform(services=services, streams=streams)
    tasks = fleet.Fleet(
        folder=folder / "tasks",
        options=options,
        faults=faults,
        later=later,
        processes=processes,
        surroundings=around,
    )
    interface = ecs_api.EcsApi(tasks=tasks, options=options, faults=faults, later=later)
    steering = rehearsal_api.RehearsalApi(tasks=tasks, ordered=faults)
    around_tasks = network.Network()
    allowed = quotas.Quotas()
    steering.know_network, steering.allow_vcpu = around_tasks.know, allowed.allow
    plans = scheduler_api.SchedulerApi(
        options=options, faults=faults, later=later, client=lambda: services.client("scheduler")
    )
    door = endpoint.Endpoint(
        faults=faults,
        interface=interface,
        backend=services.address,
        scheduler=plans.answer,
        control=steering.answer,
        before_moto={"ec2": around_tasks.answer, "servicequotas": allowed.answer},
    )
    steering.calls = door.calls
    plans.start(door.invoke, lambda: door.silenced_by("scheduler", "scheduler") is not None)
    fault_strikes.start_striking(faults=faults, tasks=tasks, steering=steering, later=later)
    server = endpoint.EndpointServer(door, faults.now)
    around.address = f"http://127.0.0.1:{server.port}"
    server.serve_in_background()
    return server.port


def main() -> None:
    """`python -m burst.rehearsal.server FOLDER SETTINGS`."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the parent's to answer
    folder = Path(sys.argv[1])
    logging.basicConfig(filename=folder / "rehearsal.log", level=logging.WARNING, format="%(asctime)s %(message)s")
    serve(folder, settings.decode(sys.argv[2]))


if __name__ == "__main__":
    main()
