"""What a task that did not hold was to send and did not: by the plan, and by the account that it left."""

import math

from burst.domain.documents import load_documents, task_results
from burst.domain.plan import plans
from burst.load import task_processes


def count_shard(plan: plans.Plan, shard_index: int) -> int | None:
    """The events that the plan makes due for one task from GO to the end of the load; None where nobody knows: no rate
    is declared, or chance has a part in it."""
    planned, tasks = plan.planned_events, plan.target.tasks
    if planned is None or plan.load.arrivals == "poisson":
        return None
    steps, source = plan.rate_plan, plan.load.source_events
    whole = math.ceil(planned) if steps is None else steps.events
    return task_processes.split_whole(whole if source is None else min(whole, source), shard_index, tasks)


def tell_unsent(plan: plans.Plan, task: task_results.TaskEntry, load: load_documents.Load | None) -> str:
    """How much of its shard a task sent, in words; empty where nobody knows."""
    planned = None if task.shard_index is None else count_shard(plan, task.shard_index)
    if planned is None:
        return ""
    account = next((each for each in load.tasks if each.shard_index == task.shard_index), None) if load else None
    if account is None:
        return f", and left no account of the {planned:,} events of its shard"
    return f", and sent {max(0, account.sent - account.unsent):,} of the {planned:,} events of its shard"
