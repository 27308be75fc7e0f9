"""The fleet: every task of the simulated ECS and its life, from PROVISIONING until ECS forgets it.

Only the fleet changes a task's status, under its lock, and each change raises the task's version. The container agent's
events and timers drive these changes. Secrets and log streams can take long, so a pool of threads prepares them before
the containers start, without the lock.
"""

import itertools
import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping
from concurrent import futures
from pathlib import Path

from burst.rehearsal import agent_client, armed_faults, ignore_term, settings, simulated_tasks, timers

_LOG = logging.getLogger(__name__)

_STUCK_POLL_SECONDS = 0.05
_START_THREADS = 8


class Fleet:
    """All tasks of one simulation."""

    def __init__(
        self,
        *,
        folder: Path,
        options: settings.SimulationSettings,
        faults: armed_faults.ArmedFaults,
        timer: timers.Timers,
        agent: agent_client.AgentClient,
        platform: simulated_tasks.ContainerPlatform,
    ) -> None:
        self.lock = threading.RLock()
        self._folder = folder
        self._options = options
        self._faults = faults
        self._timer = timer
        self._agent = agent
        self._platform = platform
        self._tasks: dict[str, simulated_tasks.SimulatedTask] = {}
        self._by_container: dict[str, tuple[simulated_tasks.SimulatedTask, simulated_tasks.Container]] = {}
        self._numbers = itertools.count(1)
        self._start_pool = futures.ThreadPoolExecutor(_START_THREADS, thread_name_prefix="start")

    # For the ECS interface

    def launch(self, request: simulated_tasks.TaskRequest) -> simulated_tasks.SimulatedTask:
        """Creates a task, which then moves on to RUNNING by itself."""
        task = simulated_tasks.create_task(
            request,
            number=next(self._numbers),
            created_at=self._faults.now(),
            launched_monotonic=time.monotonic(),
        )
        folder = self._folder / task.task_id
        folder.mkdir(parents=True)
        task.containers = [
            simulated_tasks.create_container(task, definition, folder)
            for definition in request.definition["containerDefinitions"]
        ]
        with self.lock:
            self._tasks[task.arn] = task
            for container in task.containers:
                self._by_container[container.container_id] = (task, container)
        self._timer.after(self._options.provisioning_seconds, lambda: self._make_pending(task))
        return task

    def find(self, cluster_arn: str, name: str) -> simulated_tasks.SimulatedTask | None:
        """The task with this ARN or id in the cluster, or None if there is none or ECS has forgotten it."""
        prefix = cluster_arn.replace(":cluster/", ":task/") + "/"
        with self.lock:
            return self._tasks.get(name if name.startswith(prefix) else prefix + name)

    def by_arn(self, arn: str) -> simulated_tasks.SimulatedTask | None:
        """The task with this ARN in any cluster, or None."""
        with self.lock:
            return self._tasks.get(arn)

    def visible(self, task: simulated_tasks.SimulatedTask) -> bool:
        """Whether DescribeTasks and ListTasks show the task yet. ECS is eventually consistent."""
        age_seconds = time.monotonic() - task.launched_monotonic
        if any(age_seconds < fault.seconds for fault in self._faults.in_force("tasks-missing")):
            return False
        return age_seconds >= self._options.missing_seconds or task.last_status == "STOPPED"

    def tasks(self) -> list[simulated_tasks.SimulatedTask]:
        """Every task that ECS has not forgotten, oldest first."""
        with self.lock:
            return sorted(self._tasks.values(), key=lambda task: task.number)

    def count_vcpu(self, spot: bool) -> float:
        """The vCPUs of the tasks that have not stopped, on Spot or not on it."""
        counted = [task for task in self.tasks() if task.last_status != "STOPPED"]
        return sum(
            int(task.overrides.get("cpu") or task.definition.get("cpu") or 0) / 1024
            for task in counted
            if (task.capacity_provider == "FARGATE_SPOT") == spot
        )

    def stop(
        self, task: simulated_tasks.SimulatedTask, *, code: str, reason: str, notice_seconds: float | None = None
    ) -> None:
        """Stops the task: TERM to each container, then KILL after its stop timeout, or after `notice_seconds` if given.

        Only the first stop of a task counts: it sets the stop code, the reason and the notice. A stop that was ignored
        sets code and reason too.
        """
        with self.lock:
            if task.is_ending:
                return
            self._note_stop(task, code, reason)
            task.stop_is_ignored = False
            if not task.starting:
                self._deprovision(task)
                return
            if task.started_at is None:
                task.started_at = task.stopping_at
            self._set_status(task, "DEACTIVATING")
        self._timer.after(self._options.deactivating_seconds, lambda: self._terminate(task, notice_seconds))

    # For faults

    def ignore_stop(self, task: simulated_tasks.SimulatedTask, *, code: str, reason: str) -> None:
        """Notes that the task is to be stopped, and does nothing about it. A later stop, or its own end, does."""
        with self.lock:
            if task.desired_status != "STOPPED":
                self._note_stop(task, code, reason)
                task.stop_is_ignored = True
                task.version += 1

    def run_out_of_memory(self, task: simulated_tasks.SimulatedTask) -> None:
        """Kills the task's main container, as the kernel does when memory runs out."""
        with self.lock:
            container = task.main
            if container is not None and container.running:
                container.reason = simulated_tasks.OUT_OF_MEMORY
                self._agent.kill(container.container_id)

    def interrupt(self, task: simulated_tasks.SimulatedTask) -> None:
        """Interrupts a Spot task, with notice."""
        self.stop(
            task,
            code=simulated_tasks.SPOT_INTERRUPTION,
            reason="Your Spot Task was interrupted.",
            notice_seconds=self._options.spot_notice_seconds,
        )

    def retire_host(self, code: str | None, task: simulated_tasks.SimulatedTask) -> None:
        """Stops a task because of what it runs on, with this stop code, by default `InfrastructureHealth`."""
        code = code or simulated_tasks.INFRASTRUCTURE_HEALTH
        self.stop(task, code=code, reason=simulated_tasks.HOST_UNHEALTHY)

    def start_escaped_processes(self, task: simulated_tasks.SimulatedTask) -> None:
        """Starts, once in each guarded container, a process that the guard cannot reach."""
        with self.lock:
            for container in task.containers:
                if container.guarded and container.running and not container.has_escaped_process:
                    container.has_escaped_process = True
                    self._agent.start_escaped_process(container.container_id)

    # The life of a task: from PROVISIONING to its start

    def _make_pending(self, task: simulated_tasks.SimulatedTask) -> None:
        with self.lock:
            if task.is_ending:
                return
            self._set_status(task, "PENDING")
            task.connectivity_at = task.pull_started_at = self._faults.now()
        if self._faults.active("stuck-pending") is None:
            self._timer.after(self._options.pending_seconds, lambda: self._submit_start(task))
        else:
            self._stay_stuck(task, self._options.stuck_seconds)

    def _stay_stuck(self, task: simulated_tasks.SimulatedTask, seconds_left: float) -> None:
        if task.is_ending:
            return
        if self._faults.active("stuck-pending") is None:
            self._submit_start(task)
        elif seconds_left <= 0:
            problem = simulated_tasks.StartProblemError(simulated_tasks.GIVEN_UP, without_containers=True)
            self._fail_to_start(task, problem)
        else:
            seconds_after_poll = seconds_left - _STUCK_POLL_SECONDS
            self._timer.after(_STUCK_POLL_SECONDS, lambda: self._stay_stuck(task, seconds_after_poll))

    def _submit_start(self, task: simulated_tasks.SimulatedTask) -> None:
        self._start_pool.submit(self._start, task)

    def _start(self, task: simulated_tasks.SimulatedTask) -> None:
        if self._faults.strike("fails-to-start"):
            reason = simulated_tasks.NO_NETWORK_INTERFACE
            self._fail_to_start(task, simulated_tasks.StartProblemError(reason, without_containers=True))
            return
        try:
            environments = [self._prepare(task, container) for container in task.containers]
        except simulated_tasks.StartProblemError as exc:
            self._fail_to_start(task, exc)
            return
        except Exception as exc:
            _LOG.exception("task %s", task.task_id)
            reason = f"CannotStartContainerError: {type(exc).__name__}"
            self._fail_to_start(task, simulated_tasks.StartProblemError(reason))
            return
        with self.lock:
            if task.is_ending:
                return
            task.pull_stopped_at = self._faults.now()
            task.starting = True
            self._set_status(task, "ACTIVATING")
            for container, environment in zip(task.containers, environments, strict=True):
                self._start_container(container, environment)

    def _prepare(self, task: simulated_tasks.SimulatedTask, container: simulated_tasks.Container) -> Mapping[str, str]:
        """Opens the container's log and returns its environment. Raises `StartProblemError`."""
        environment = self._platform.environment(task, container)
        problem = simulated_tasks.find_start_problem(container, environment, self._working_folder(container))
        if problem is not None:
            container.reason = problem
            raise simulated_tasks.StartProblemError(
                "Essential container in task exited" if container.essential else problem
            )
        self._platform.open_log(container)
        return environment

    def _start_container(self, container: simulated_tasks.Container, environment: Mapping[str, str]) -> None:
        self._agent.start(
            container.container_id,
            argv=self._command(container),
            environment=environment,
            folder=self._working_folder(container),
            log=container.log,
            listener=self._take_event,
            init=bool(container.definition.get("linuxParameters", {}).get("initProcessEnabled")),
        )

    def _command(self, container: simulated_tasks.Container) -> tuple[str, ...]:
        """Its command. Under `task-ignores-term`, `ignore_term.py` runs the program, below the guard if it has one."""
        if self._faults.active("task-ignores-term") is None:
            return container.argv
        begin = container.argv.index("--") + 1 if container.guarded and "--" in container.argv else 0
        return (*container.argv[:begin], sys.executable, "-I", ignore_term.__file__, *container.argv[begin:])

    def _working_folder(self, container: simulated_tasks.Container) -> Path:
        return Path(container.definition.get("workingDirectory") or self._options.working_folder or ".")

    def _fail_to_start(self, task: simulated_tasks.SimulatedTask, problem: simulated_tasks.StartProblemError) -> None:
        with self.lock:
            if task.is_ending:
                return
            self._note_stop(task, simulated_tasks.FAILED_TO_START, str(problem))
            if problem.without_containers:
                task.containers = []
            self._deprovision(task)

    # The life of a task: its containers' events

    def _take_event(self, event: agent_client.ContainerStarted | agent_client.ContainerEnded) -> None:
        with self.lock:
            task, container = self._by_container[event.container_id]
            if isinstance(event, agent_client.ContainerStarted):
                self._note_start(task, container, event.pid)
            else:
                self._note_end(task, container, event.exit_code)

    def _note_start(self, task: simulated_tasks.SimulatedTask, container: simulated_tasks.Container, pid: int) -> None:
        container.pid = pid
        container.runtime_id = container.metadata_name
        container.last_status = "RUNNING"
        if task.started_at is None and all(each.pid is not None for each in task.containers):
            task.started_at = self._faults.now()
            self._set_status(task, "RUNNING")

    def _note_end(
        self, task: simulated_tasks.SimulatedTask, container: simulated_tasks.Container, exit_code: int
    ) -> None:
        container.last_status = "STOPPED"
        container.exit_code = exit_code
        self._platform.complete_log(container)
        task.version += 1
        all_ended = all(each.last_status == "STOPPED" for each in task.containers)
        if container.essential or all_ended:
            self.stop(task, code=simulated_tasks.ESSENTIAL_EXITED, reason="Essential container in task exited")
            # The end of the first essential container counts, as in ECS's own agent (RecordExecutionStoppedAt), even
            # if other containers still run.
            task.execution_stopped_at = task.execution_stopped_at or self._faults.now()
        if all_ended:
            self._deprovision(task)

    # The life of a task: its end

    def _note_stop(self, task: simulated_tasks.SimulatedTask, code: str, reason: str) -> None:
        """Sets the code, the reason and the time of the first stop."""
        if task.desired_status != "STOPPED":
            task.desired_status = "STOPPED"
            task.stop_code = code
            task.stopped_reason = reason
            task.stopping_at = self._faults.now()

    def _terminate(self, task: simulated_tasks.SimulatedTask, notice_seconds: float | None) -> None:
        with self.lock:
            running = [container for container in task.containers if container.last_status != "STOPPED"]
            if not running:
                return
            self._set_status(task, "STOPPING")
            ignores_term = self._faults.active("task-ignores-term") is not None
            for container in running:
                if not ignores_term:
                    self._agent.terminate(container.container_id)
                wait_seconds = self._stop_timeout_seconds(container) if notice_seconds is None else notice_seconds
                self._timer.after(wait_seconds, self._make_killer(container))

    def _stop_timeout_seconds(self, container: simulated_tasks.Container) -> float:
        seconds = float(container.definition.get("stopTimeout", simulated_tasks.STOP_TIMEOUT_SECONDS))
        return seconds * self._options.stop_timeout_scale

    def _make_killer(self, container: simulated_tasks.Container) -> Callable[[], None]:
        def kill() -> None:
            if container.last_status != "STOPPED":
                self._agent.kill(container.container_id)

        return kill

    def _deprovision(self, task: simulated_tasks.SimulatedTask) -> None:
        """Starts the last step of a task whose containers have all ended or never started."""
        task.execution_stopped_at = task.execution_stopped_at or self._faults.now()
        for container in task.containers:
            container.last_status = "STOPPED"
        self._set_status(task, "DEPROVISIONING")
        self._timer.after(self._options.deprovisioning_seconds, lambda: self._finish(task))

    def _finish(self, task: simulated_tasks.SimulatedTask) -> None:
        with self.lock:
            task.stopped_at = self._faults.now()
            self._set_status(task, "STOPPED")
        self._timer.after(self._options.forget_seconds, lambda: self._forget(task))

    def _forget(self, task: simulated_tasks.SimulatedTask) -> None:
        with self.lock:
            self._tasks.pop(task.arn, None)
            for container in task.containers:
                self._by_container.pop(container.container_id, None)

    def _set_status(self, task: simulated_tasks.SimulatedTask, last_status: str) -> None:
        task.last_status = last_status
        task.version += 1
