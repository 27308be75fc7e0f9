"""Findings of preflight: the table of their ids, each with why it matters and how to mend it, and one finding's words.

The table is here and not beside the checks, so that a runbook, a document and a message say the same of an id, and so
that no check has a finding without a page.
"""

import enum
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from burst.domain.basics import errors, runbooks
from burst.domain.documents import entry_answers

Json = str | int | float | bool | None


class FindingStatus(enum.StrEnum):
    """The consequence of a finding for the launch."""

    PASSED = "passed"
    WARNING = "warning"
    """Not known, or not as it should be, and the burst can still prove something. Never counted as a pass."""
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class FindingKind:
    """The fixed words of one id."""

    title: str
    why: str
    mend: str


FINDING_KINDS: Mapping[str, FindingKind] = {
    "baseline": FindingKind(
        title="the baseline can be used",
        why="the multiplier divides by the baseline: one that is missing, changed or old proves nothing",
        mend="make a new one with `burst baseline make RUN -o FILE`, and name it in baseline.file",
    ),
    "reference": FindingKind(
        title="the run that this one reproduces can be used",
        why="a run cannot be compared with one whose evidence does not hold, or which did not pass",
        mend="name the folder or S3 place of a passed run in reproduces.snapshot, and its digest in reproduces.sha256",
    ),
    "prior": FindingKind(
        title="the prior snapshot can be used",
        why="a bounded rerun carries every other blocker from it",
        mend="name a sound snapshot of the same phase in rerun.prior, in which the blockers of rerun.only are open",
    ),
    "entry-phase": FindingKind(
        title="a required phase has passed",
        why="a phase that rests on one that held, or of which nobody can tell, proves nothing",
        mend="run the required phase to its PASS, or mend requires.phases: place, phase, scope, digest",
    ),
    "entry-document": FindingKind(
        title="a required document is there, and says what it has to",
        why="the phase rests on what other programs have finished before it",
        mend="finish what writes the document, or mend requires.documents: address, path, expectation",
    ),
    "entry-fact": FindingKind(
        title="a required fact is as expected",
        why="a run that begins in another state than the plan requires measures that state",
        mend="bring the system into that state, give it more time with until, or mend requires.facts",
    ),
    "entry-service": FindingKind(
        title="a required service runs as it has to",
        why="a run against another image, another scope or fewer tasks tests another system",
        mend="deploy the service, wait until it is stable, or mend requires.services",
    ),
    "entry-nothing-alive": FindingKind(
        title="no task of another run is alive",
        why="load that nobody counts is measured with this run",
        mend="end it: burst stop RUN, or burst reap once its deadline is over",
    ),
    "store-policy": FindingKind(
        title="the evidence is kept as the environment demands",
        why="evidence of staging, pilot and prod has to outlive the machine, and nobody may be able to change it",
        mend="name S3 places in evidence.run_control and run_scoped, set evidence.object_lock and evidence.sign",
    ),
    "gate-modes": FindingKind(
        title="each gate may have its mode",
        why="a gate that a promotion made required, and that opens nothing now, would let a figure pass unseen",
        mend="name the promotion or the demotion in gates.records, by the digest that gates.modes states",
    ),
    "rate": FindingKind(
        title="the rate can reach the multiplier",
        why="a burst that sends less than the multiplier asks for cannot pass, however long it runs",
        mend="raise load.rate, or use rate: auto",
    ),
    "source": FindingKind(
        title="the profile has enough events",
        why="once every event was sent the burst idles, and the window misses its admits",
        mend="give the profile more events, or shorten budget.window and min_window",
    ),
    "recording": FindingKind(
        title="the recording can be played",
        why="a record that cannot be read ends its task in the middle of the burst, because none is ever left out",
        mend="mend load.playback.source, key, at or template, or the file that is named",
    ),
    "checkpoint": FindingKind(
        title="the checkpoint of the playback can be kept",
        why="without it the next run would send again what was acknowledged, or leave out what was not",
        mend="apply infra/sql/playback_checkpoint.sql, say load.continues, or take a fresh scope",
    ),
    "program": FindingKind(
        title="the program can be started",
        why="a task that cannot start its program delivers no load",
        mend="mend load.locustfile or load.command; for Locust: pip install 'burst[load]'",
    ),
    "secrets": FindingKind(
        title="every secret reference resolves",
        why="a burst sent with a missing key or a placeholder is answered 401 from its first event to its last",
        mend="export the variable, write the file, or put the real value into the secret store; let a token that ends "
        "stand in a file or a store that is kept up to date",
    ),
    "runs-folder": FindingKind(
        title="the runs folder can be written",
        why="the journal is written before every act: without it nothing may be launched",
        mend="free some space, or name another folder in evidence.local",
    ),
    "signing": FindingKind(
        title="the key that signs can be used",
        why="the plan asks for signed evidence: without its key the verdict cannot be published",
        mend="mend evidence.sign.key, or make a key: burst evidence keygen -o FILE",
    ),
    "receipts": FindingKind(
        title="the receipts table answers as planned",
        why="the verdict rests on this count",
        mend="mend receipts.dsn, receipts.table or receipts.columns, or the rights of the role, as the finding says",
    ),
    "counter": FindingKind(
        title="the task that counts can answer",
        why="it counts every receipt, and its answer is refused when the log lost a line of it",
        mend="mend the task definition of the counter (infra/ has one): an active revision, its secret "
        "BURST_RECEIPTS_DSN, the driver awslogs with mode blocking, and a log group that exists",
    ),
    "timestamps": FindingKind(
        title="receipt times are instants",
        why="a date, or a time without its offset, may be off by hours, and then lies outside the window",
        mend="have the ingest write ISO-8601 with an offset, or name the right column in receipts.columns.at",
    ),
    "database": FindingKind(
        title="the database is fit to count in",
        why="an old server cannot count as burst does; a standby may lag behind the primary, so no count there is "
        "known to be all",
        mend="let receipts.dsn name the primary of a PostgreSQL 14 or later",
    ),
    "database-role": FindingKind(
        title="the role of the DSN cannot write",
        why="a role that counts receipts must not be able to make them",
        mend="let receipts.dsn name a role that has SELECT alone",
    ),
    "role-settings": FindingKind(
        title="sessions of the role cannot hold the database",
        why="a session without limits, of whatever program has this DSN, can hold locks and old rows for ever",
        mend="give the role its own settings, as infra/reader_role.sql has them; new sessions then have them",
    ),
    "database-check": FindingKind(
        title="the check of the database refuses nothing",
        why="the plan requires it: a count in a standby, beside another database, or with no connection left proves "
        "nothing",
        mend="mend what the finding names, then: burst db check --plan PLAN",
    ),
    "clock-skew": FindingKind(
        title="this clock agrees with the database's and with the one that stamps receipts",
        why="this clock sets the window, and the receipts carry the time of the ingest or of the database",
        mend="synchronise the clocks, or the window cannot be trusted",
    ),
    "count-cost": FindingKind(
        title="the final count fits count_timeout",
        why="a window that is not counted in time, twice, is not settled, and the verdict holds however good the burst",
        mend="make the index that `burst db advise --plan PLAN` prints, or raise receipts.count_timeout",
    ),
    "scope-freshness": FindingKind(
        title="the scope is fresh",
        why="an event that was admitted in the scope before is DUPLICATE, so the admit ratio cannot pass",
        mend="use scope: fresh; to send events again on purpose, use profile: replay, without gates that ask for ADMIT",
    ),
    "host": FindingKind(
        title="the host names no route",
        why="the profile adds its route to the host, and a doubled route is answered 404",
        mend="let load.host be scheme, host and port alone",
    ),
    "host-reachable": FindingKind(
        title="the host can be reached",
        why="events to a host that does not answer are no load",
        mend="check name, port and network; is the ingest running?",
    ),
    "halt": FindingKind(
        title="run control is not halted",
        why="somebody stopped every run under this run control, and nothing may begin while the halt stands",
        mend="find out whether the reason still holds, then lift the halt: burst halt --lift; where it cannot be read, "
        "mend the access or the document first",
    ),
    "stop-when": FindingKind(
        title="every alarm and fact of stop_when answers, and none wants a stop",
        why="a run beside an alarm that has gone off would stop at once, and one that nobody can read stops no run",
        mend="wait until the alarm is OK, mend its ARN, the role or the question, or take the entry out of stop_when",
    ),
    "observe": FindingKind(
        title="every observed series answers as the run needs it",
        why="a series that cannot be asked, answers too slowly or speaks of another scope or instant proves nothing, "
        "and the verdict then holds however good the burst",
        mend="mend the question, the path, at or scope of the series, or ask less often: burst runbook observations",
    ),
    "events": FindingKind(
        title="the gates can pass with the events asked for",
        why="a plan that asks for duplicates makes fewer ADMIT of what it sends, and its own gates may not allow that",
        mend="lower the share in load.events, or the limit in gates that the finding names",
    ),
    "canary": FindingKind(
        title="one event produces its receipt",
        why="every event goes this way, so one is sent before thousands are",
        mend="mend the fault that the finding names, then run: burst preflight PLAN",
    ),
    "sending": FindingKind(
        title="the tasks can send the rate",
        why="a rate that the generator cannot send is not the system's to reach, and the burst would end in HOLD (B9)",
        mend="raise target.tasks, load.users or the limit of open files, let the ingest keep connections open, or "
        "lower load.rate",
    ),
    "canary-route": FindingKind(
        title="the ingest knows the route",
        why="every event of the burst would be answered 404",
        mend="let load.host be the ingest's address without a path; is it the right host?",
    ),
    "canary-unauthorised": FindingKind(
        title="the ingest takes the key",
        why="every event of the burst would be answered 401",
        mend="give load.api_key the key of this ingest",
    ),
    "canary-unanswered": FindingKind(
        title="the ingest answers in time",
        why="a burst against an ingest that does not answer measures timeouts",
        mend="find out why the ingest does not answer; see its log",
    ),
    "canary-no-receipt": FindingKind(
        title="the receipt is in the table",
        why="an ingest that takes events and writes their receipts elsewhere gives a burst of zero admits",
        mend="let receipts.dsn and receipts.table name the table this ingest writes, and receipts.columns.event its "
        "column of event ids",
    ),
    "canary-not-admitted": FindingKind(
        title="the event is admitted",
        why="an ingest that does not admit one new event will not admit thousands",
        mend="read the ingest's reason: does it take this scope, and does it know this envelope?",
    ),
    "cost": FindingKind(
        title="the cost at the cap stays under cost_cap_usd",
        why="the cap in seconds bounds the cost only where the task's size is known",
        mend="lower tasks or operator_cap, raise budget.cost_cap_usd, or give your own prices in target.price",
    ),
    "account": FindingKind(
        title="the AWS account and region are the plan's",
        why="a burst in another account or region lacks its resources, or loads the wrong ones",
        mend="set up credentials and AWS_REGION; they must be of the account that the plan's ARNs name",
    ),
    "credentials-expiry": FindingKind(
        title="the credentials outlive the deadline",
        why="a controller without credentials can neither stop tasks nor publish",
        mend="renew the session before the launch, or use credentials that renew themselves",
    ),
    "aws-clock": FindingKind(
        title="this clock and AWS's agree",
        why="this clock sets deadline and lease, and other machines keep them",
        mend="synchronise this machine's clock",
    ),
    "cluster": FindingKind(
        title="the cluster is ACTIVE",
        why="tasks cannot be launched into a cluster that does not exist",
        mend="mend target.cluster, or make the cluster (infra/ does)",
    ),
    "task-definition": FindingKind(
        title="the pinned task definition is ACTIVE",
        why="the revision defines the burst: another revision is another burst",
        mend="pin an active revision in target.task_definition, with the container named in target.container",
    ),
    "task-guard": FindingKind(
        title="the container starts under burst guard",
        why="without it no task ends itself when the control plane is down, and none waits for GO",
        mend="let the container's entryPoint be burst guard, or leave guard and lease out of layers.require",
    ),
    "task-sidecar": FindingKind(
        title="the task has its lifespan container",
        why="it ends the task when even the guard has failed",
        mend="add the essential container lifespan (infra/ has it), or leave sidecar out of layers.require",
    ),
    "task-stop-timeout": FindingKind(
        title="stopTimeout covers the grace",
        why="ECS kills a container at its stopTimeout, before the grace the plan promises is over",
        mend="raise stopTimeout in the task definition, or lower budget.stop_grace",
    ),
    "task-root-filesystem": FindingKind(
        title="the container can write its temporary files",
        why="the guard keeps the barrier in a temporary folder, and programs write there: a task without one fails at "
        "its start",
        mend="mount a volume or a tmpfs on /tmp in the task definition, or leave readonlyRootFilesystem out",
    ),
    "task-size": FindingKind(
        title="the task's cpu carries its share of the rate",
        why="a task that is short of cpu sends late and less than the plan says, and the system under load is blamed",
        mend="raise target.tasks, or the cpu of the task definition; a smaller rate shows what a task carries",
    ),
    "task-logs": FindingKind(
        title="the container logs to a log group that exists",
        why="a task whose log group is missing does not start, and one without a log does not show why it ended",
        mend="make the log group, or mend logConfiguration in the task definition",
    ),
    "task-secrets": FindingKind(
        title="the task definition's secrets resolve",
        why="a task whose secret is missing does not start; one with a placeholder is answered 401",
        mend="put the real value into the secret store the task definition names",
    ),
    "network": FindingKind(
        title="subnets and security groups exist",
        why="a task cannot be placed into a network that does not exist",
        mend="mend target.subnets and target.security_groups; they must be of this account and region",
    ),
    "subnet-addresses": FindingKind(
        title="the subnets have an address for each task",
        why="each task takes an address of its subnet, and one without an address does not start",
        mend="name more or larger subnets in target.subnets, or lower target.tasks",
    ),
    "master-port": FindingKind(
        title="the security groups let the workers of other tasks reach the master",
        why="a worker that does not reach its master is never ready, and the burst does not begin",
        mend="let TCP 5557 in from the tasks' own security group, and out to it, or use load.topology: independent; "
        "infra: distributed = true",
    ),
    "way-out": FindingKind(
        title="the subnets have a way out for image, lease, records and logs",
        why="a task that cannot pull its image never starts, and one that cannot reach S3 has no lease and is ended",
        mend="give the subnets a NAT gateway or the VPC endpoints that the finding names, or set "
        "target.assign_public_ip: true where an internet gateway is the way out",
    ),
    "start-timeout": FindingKind(
        title="the tasks can be launched within start_timeout",
        why="AWS takes so many launches a second, so a start_timeout that is shorter ends every run before GO",
        mend="raise budget.start_timeout (left out, it follows from the number of tasks), or lower target.tasks",
    ),
    "earlier-tasks": FindingKind(
        title="no task of an earlier run is alive in the cluster",
        why="load that nobody counts is measured with this burst, and a task past its deadline shows a hard stop that "
        "failed",
        mend="end the tasks past their deadline with the command that the finding names; those in time end by "
        "themselves, or with burst stop",
    ),
    "evidence-place": FindingKind(
        title="the evidence places are free for this run",
        why="documents are never overwritten, so a verdict cannot be published to a place that is taken",
        mend="use a fresh scope, a rerun bounded with --only, another --execution-id or other places in evidence",
    ),
    "evidence-write-once": FindingKind(
        title="the evidence places are write-once",
        why="evidence that can be overwritten is none, and evidence that cannot be written is lost",
        mend="use a store that honours If-None-Match and If-Match, also for writers at once; turn versioning on, and "
        "let the role put objects there",
    ),
    "schedule-layer": FindingKind(
        title="the schedule layer can be armed",
        why="it ends the tasks when this machine is gone",
        mend="make the schedule group, its role and the reaper's task definition (infra/ does), or name them in "
        "target.reaper",
    ),
    "sweeper": FindingKind(
        title="the sweeper sweeps the cluster",
        why="it ends the tasks that every nearer layer missed, and the plan requires it",
        mend="make the recurring schedule (infra/ does), enabled and at least every 5 minutes, or do not require it",
    ),
    "services": FindingKind(
        title="the services to scale exist, and no other run holds them",
        why="a burst against a service that was not scaled measures another system",
        mend="mend services[].name: each is an active service of target.cluster; resume the run that holds one, or "
        "wait until burst reap has put it back",
    ),
    "one-shots": FindingKind(
        title="the commands of before and after end, whatever happens to burst",
        why="a command with neither guard nor sidecar is ended by the schedule alone, and is not started without it",
        mend="let its container's entryPoint or its command be burst guard, or add the essential container lifespan; "
        "pin an active revision in its task_definition",
    ),
    "lease-ttl": FindingKind(
        title="the lease outlasts a few slow answers",
        why="a heartbeat goes through S3 and back: where each call may take longer than the lease lasts, tasks end "
        "under a controller that lives",
        mend="raise layers.lease_ttl (30s where the plan says none)",
    ),
    "quota": FindingKind(
        title="the vCPU quota, less what is in use, covers the tasks",
        why="tasks over the quota are not launched, and fewer tasks than min_tasks make no burst",
        mend="lower target.tasks, end what else runs on Fargate, or ask AWS for a higher Fargate vCPU quota",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One finding of a check. `details` are figures for a document."""

    check: str
    status: FindingStatus
    seen: str
    details: Mapping[str, Json] = field(default_factory=dict)
    entry: entry_answers.EntryAnswer | None = None
    """The answer of the entry gate that it is about."""
    because_of: str = ""
    """The check that failed for the same reason and explains it, where this one could not ask."""
    own_mend: str = ""
    """How to mend just this, where the fixed words of its id do not fit it."""

    def __post_init__(self) -> None:
        if self.check not in FINDING_KINDS:
            raise ValueError(f"{self.check} is no finding; it needs its line in findings.FINDING_KINDS")

    @property
    def passed(self) -> bool:
        """Whether all is as it should be. A warning is no pass, and does not refuse either."""
        return self.status is FindingStatus.PASSED

    @property
    def refused(self) -> bool:
        """Whether the finding keeps the burst from being launched."""
        return self.status is FindingStatus.REFUSED

    @property
    def kind(self) -> FindingKind:
        """Title, why it matters, how to mend it."""
        return FINDING_KINDS[self.check]

    @property
    def why(self) -> str:
        """Why it matters; empty where it passed."""
        return "" if self.passed else self.kind.why

    @property
    def mend(self) -> str:
        """How to mend it; empty where it passed, or another finding explains it."""
        return "" if self.passed or self.because_of else self.own_mend or self.kind.mend

    @property
    def runbook(self) -> str:
        """The page about it."""
        return runbooks.page_file(runbooks.PageKind.CHECK, self.because_of or self.check)

    def lines(self) -> tuple[str, ...]:
        """The finding in words: one line where it passed or another explains it, else with why, mending and page."""
        word = {FindingStatus.PASSED: "ok  ", FindingStatus.WARNING: "warn", FindingStatus.REFUSED: "FAIL"}[self.status]
        first = f"{word} {self.check}: {self.seen}"
        if self.passed or self.because_of:
            return (first,)
        page = runbooks.page_command(runbooks.PageKind.CHECK, self.check)
        return (first, f"     why: {self.why}", f"     mend: {self.mend}", f"     see: {page}")


def report_pass(check: str, observation: str, **details: Json) -> Finding:
    """All is as it should be."""
    return Finding(check=check, status=FindingStatus.PASSED, seen=observation, details=details)


def report_warning(check: str, observation: str, *, mend: str = "") -> Finding:
    """Not known, or not as it should be, and no reason to refuse. `mend` where the id's own words do not fit."""
    return Finding(check=check, status=FindingStatus.WARNING, seen=observation, own_mend=mend)


def report_refusal(check: str, observation: str, **details: Json) -> Finding:
    """Nothing may be launched."""
    return Finding(check=check, status=FindingStatus.REFUSED, seen=observation, details=details)


def report_unasked(check: str, because_of: str) -> Finding:
    """Nothing may be launched: the check could not ask, for the reason that another one gives."""
    words = f"it could not be asked, for the reason that {because_of} gives"
    return Finding(check=check, status=FindingStatus.REFUSED, seen=words, because_of=because_of)


def report_problem(check: str, problem: str, observation: str, *, required: bool = True) -> Finding:
    """A pass with the observation where there is no problem; else a refusal, or a warning where not `required`.

    A problem has words of its own: in those of the pass nobody sees what fails.
    """
    if problem and problem == observation:
        raise ValueError(f"{check} would fail in the words of its pass: {problem}")
    if not problem:
        return report_pass(check, observation)
    return report_refusal(check, problem) if required else report_warning(check, problem)


class LaunchRefused(errors.Refused):
    """Preflight refuses; `checks` are those that do."""

    def __init__(self, words: str, checks: tuple[str, ...]) -> None:
        super().__init__(words)
        self.checks = checks


def list_lines(listed: Iterable[Finding]) -> list[str]:
    """Findings in words; those that could not be asked for one and the same reason share a line, behind the others."""
    lines: list[str] = []
    unasked: dict[str, list[str]] = {}
    for finding in listed:
        if finding.because_of:
            unasked.setdefault(finding.because_of, []).append(finding.check)
        else:
            lines += finding.lines()
    for reason, checks in unasked.items():
        lines.append(f"FAIL {', '.join(checks)}: not asked, for the reason that {reason} gives")
    return lines


def refuse_launch(answers: Iterable[Finding], settings_problem: str = "") -> None:
    """Raises `LaunchRefused` naming every finding that refuses; `errors.UsageError` where a setting of this machine
    is missing or wrong, as every command ends that meets it. `settings_problem` names that setting."""
    every = tuple(answers)
    failed = [finding for finding in every if finding.refused]
    if failed:
        words = f"preflight found {len(failed)} of {len(every)} checks failing; nothing was launched:"
        message = "\n".join([words, *list_lines(failed)])
        if is_setting(failed, settings_problem):
            raise errors.UsageError(message)
        raise LaunchRefused(message, tuple(dict.fromkeys(finding.check for finding in failed)))


def is_setting(failed: Iterable[Finding], settings_problem: str) -> bool:
    """Whether a launch is refused for a setting: a secret that this machine lacks is one."""
    return bool(settings_problem) and any(finding.check == "secrets" for finding in failed)
