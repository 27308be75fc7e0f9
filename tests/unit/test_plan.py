"""Plans: everything a plan may say is checked, every mistake is named by line and key, and no secret is shown."""

import json
import re
from typing import Any

import hypothesis
import pytest
import yaml
from hypothesis import strategies as st

from burst.domain.basics import canonical, errors
from burst.domain.plan import load_sections, plans, yaml_lines
from tests import cases

SECRET = "hunter2-s3cr3t"
"""What no message may show."""

PHASE_DIGEST, IMAGE_DIGEST = f"sha256: {'c' * 64}", f"sha256:{'d' * 64}"
TEXT = """\
schema: burst.plan/v1
kind: burst
phase: M10.F
scope: platform_20260219T234150Z
environment: dev
execution_id: m10_20260221T020923Z
target:
  kind: ecs
  tasks: 8
  min_tasks: 6
  replacements: 2
  cluster: burst-dev
  task_definition: burst-task:12
  container: burst
  capacity: [FARGATE_SPOT, FARGATE]
  subnets: [subnet-a, subnet-b]
  security_groups: [sg-a]
  assign_public_ip: true
  reaper:
    task_definition: burst-reaper:3
    role_arn: arn:aws:iam::123456789012:role/scheduler
    group: burst-dev
    dead_letter_arn: arn:aws:sqs:eu-west-2:123456789012:dead
  price:
    vcpu_hour_usd: 0.04
    gb_hour_usd: 0.004
load:
  locustfile: locustfiles/ingest.py
  host: http://ingest.internal:8080
  profile: steady
  rate: auto
  warmup: 5s
  headroom: 1.1
  source_events: 20000
  api_key: env:IG_API_KEY
  environment: {STREAM_SPEEDUP: "120"}
  waits_for_go: true
  arrivals: poisson
  users: 40
  spawn_rate: 2.5
  arguments: [--own, x]
  tags: [fast, paid]
  user_classes: [Buyer, Looker]
  keep: [csv, html]
  per_shard:
    HOST: http://lane-{index}.internal:8080
    OUTPUT: lane-{index}
  canary: false
  events:
    duplicates: 2.5%
    malformed: 0.01
    templates:
      - name: order
        weight: 3
        body: {id: "{event_id}", run: "{scope}", text: "{filler}"}
        bytes: {least: 300, p50: 700, p90: 1200, p95: 1800, p99: 4000, most: 9000}
    malformed_body: {id: "{event_id}", run: 7}
  route: /v2/events
  key_header: X-Key
  topology: independent
  processes: 2
layers:
  require: [guard, sidecar, lease, schedule]
  lease_ttl: 30s
budget:
  max: 90m
  operator_cap: 20m
  min_window: 15m
  window: 16m
  start_timeout: 60s
  stop_grace: 30s
  cost_cap_usd: 5
receipts:
  dsn: env:IG_ADMISSION_DSN
  via: task
  task:
    task_definition: burst-dev-counter:3
    container: counter
    start_timeout: 3m
  table: receipts
  columns:
    decision: decision
    at: created_at_utc
    scope: platform_run_id
    event: event_id
  time_unit: ms
  decisions:
    ADMIT: [accepted]
  bucket: 60s
  settle: 5s
  count_timeout: 60s
  max_skew: 2s
  require_check: false
  database_seconds_max: 10m
baseline:
  file: baselines/m10_e.json
  sha256: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa
  max_age: 720h
gates:
  multiplier: 3.0
  admit_ratio: 0.995
  min_admits: 50000
  contiguity: {max_gap: 2m}
  decision_shares:
    ADMIT: {at_most: 0.6, at_least: 0.4}
    DUPLICATE: {at_most: 0.55, at_least: 0.45}
    QUARANTINE: {at_most: 0.05, at_least: 0.0}
  expect_duplicates: 100
  offered_load: 0.98
  latency_p95_ms: 400
  latency_p99_ms: 900
  error_ratio: 0.01
  client_error_ratio: 0.005
  server_error_ratio: 0.005
  warn_at: {latency_p95_ms: 300}
  multiplier_lower: 2.9
  modes:
    latency_p95_ms: {mode: informational, block: 10}
    latency_p99_ms: {mode: required, promoted_by: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc}
    error_ratio: {mode: informational, demoted_by: cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc}
  records: [promotions/p99.json, promotions/error_demotion.json]
facts:
  - blocker: M10F-B2
    name: publish_ambiguous
    sql: "select count(*) from admissions where platform_run_id = :scope"
    equals: 0
  - blocker: M10F-B7
    name: max_lag
    document: "s3://bucket/evidence/{scope}/caught_up.json"
    path: /max_lag
    at_most: 10
  - blocker: M10F-B7
    name: caught_up
    document: "s3://bucket/evidence/{scope}/caught_up.json"
    path: /share
    at_least: 0.5
observe:
  every: 10s
  settle: 3s
  series:
    - name: observed_lag
      sql: "select json_build_object('lag', 3)::text"
      path: /lag/now
      at: /lag/at_utc
      scope: /lag/scope
      rules:
        - blocker: M10F-B7
          aggregate: max
          over: last 10m
          at_most: 12
        - blocker: M10F-B7
          max_stall: 11m
        - {blocker: M10F-B2, aggregate: last, within: 1% of rows_admitted}
    - name: rows_admitted
      document: "s3://bucket/evidence/{scope}/rows.json"
      path: /rows
      at: /written_utc
      rules:
        - {blocker: M10F-B2, aggregate: last, at_least: 40}
    - name: rows_held
      command: [count-rows, "{scope}"]
      path: /held
      rules:
        - {blocker: M10F-B2, aggregate: delta, equals: 41}
    - name: consumer_lag
      cloudwatch:
        namespace: AWS/Kafka
        metric: MaxOffsetLag
        dimensions: {Topic: orders}
        statistic: p99
        period: 5m
      rules:
        - {blocker: M10F-B7, monotonic: true}
    - name: checkpoint_age
      prometheus:
        url: http://prometheus.internal:9090
        query: max(checkpoint_age_seconds)
      rules:
        - {blocker: M10F-B7, aggregate: p95, at_most: 30}
    - name: running_gateways
      service: ingest-gateway
      rules:
        - {blocker: M10F-B7, aggregate: min, at_least: 32}
stop_when:
  - alarm: "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:ingest 5xx"
  - name: open_orders_held
    sql: "select count(*) from orders where held"
    at_least: 7
  - name: lag
    document: "s3://bucket/evidence/{scope}/lag.json"
    path: /lag
    at_most: 3
  - name: broken
    sql: "select broken from health"
    equals: true
requires:
  phases:
  - {name: window, place: s3://b-1/control, phase: M10.E, kind: window, scope: platform_1, PHASE}
  documents:
  - {name: completed, document: "s3://b-1/runs/{scope}/run_completed.json", path: /state, equals: DONE, until: 5m}
  - {name: lag, document: "evidence/{scope}/lag.json", path: /lag, at_most: 10}
  - {name: share, document: "evidence/{scope}/lag.json", path: /share, at_least: 0.5}
  facts:
  - {name: queue_empty, sql: select count(*) from queue, equals: 0, until: 10m}
  - {name: caught_up, document: "s3://b-1/{scope}/caught_up.json", path: /share, at_least: 0.5}
  - {name: held, sql: select count(*) from orders where held, at_most: 3}
  services:
  - name: gateway
    running: 4
    image: IMAGE
    task_definition: gateway:12
    environment: {PLATFORM_RUN_ID: "{scope}"}
    until: 12m
  nothing_alive: true
rerun:
  only: [M10F-B1, M10F-B5, M10F-B8]
  prior: s3://bucket/m10_f_burst_snapshot.json
  prior_sha256: bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb
  changes:
  - key: gates.multiplier
    from: 3.0
    to: 2.5
    why: fewer partitions
  non_goals: ["no scaling"]
services:
  - name: ingest-writer
    desired: 6
    task_definition: ingest-writer:8
    environment: {PLATFORM_RUN: "{scope}"}
    container: writer
before:
  - name: migrate
    task_definition: reporter:3
    container: reporter
    command: [report, --migrate]
    timeout: 2m
    exit_code: 3
after:
  - name: refresh
    task_definition: reporter:4
    container: refresher
    command: [report, --refresh]
    timeout: 3m
    exit_code: 4
reproduces:
  snapshot: s3://b-1/control/m10_first
  phase: M10.G
  sha256: dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd
  shares_within: 0.04
  keyset: {document: "s3://b-1/{scope}/anchors.json", path: /anchors, separator: "|"}
during:
  - name: restart-writer
    at: 5m
    restart: {service: writer}
    undo: [drills, --mend]
    timeout: 45s
    task_definition: drills:3
    container: drills
    recover_within: 4m
    recovered_when: {series: observed_lag, at_most: 11, sustained: 60s}
  - name: cut-network
    at: 11m
    command: [drills, --cut]
    exit_code: 5
    task_definition: drills:4
    recover_within: 2m
    recovered_when: {series: rows_admitted, at_least: 0.9, sustained: 30s}
  - name: drain
    at: 14m
    restart: {service: reader}
    recover_within: 1m
    recovered_when: {series: rows_held, equals: ready, sustained: 10s}
evidence:
  local: runs
  run_control: s3://bucket/evidence/dev_min/run_control
  run_scoped: [s3://bucket/evidence/runs, s3://mirror/evidence/runs]
  regions: {mirror: eu-central-1}
  kms_key: alias/evidence
  object_lock: {mode: GOVERNANCE, retain: 365d}
  bucket_owner: "123456789012"
  checksums: when_required
  sign: {key: "kms:arn:aws:kms:eu-west-2:123456789012:key/1234"}
outlets:
  webhook: [{url: "https://ci.example/hook", key: env:HOOK_KEY}]
  cdevents: [{url: env:CDEVENTS_URL}]
  eventbridge: {bus: releases, region: eu-west-2}
  otlp: {endpoint: "http://127.0.0.1:4318"}
  openmetrics: metrics/burst.prom
  notify: [env:SLACK_URL]
""".replace("PHASE}", f"{PHASE_DIGEST}}}").replace("IMAGE", IMAGE_DIGEST)
WEBHOOK_LINE = '  webhook: [{url: "https://ci.example/hook", key: env:HOOK_KEY}]'
OTLP_LINE = '  otlp: {endpoint: "http://127.0.0.1:4318"}'
BUS_LINE = "  eventbridge: {bus: releases, region: eu-west-2}"
SIGN_LINE = '  sign: {key: "kms:arn:aws:kms:eu-west-2:123456789012:key/1234"}'


REFERENCE_LINE = f"  sha256: {'d' * 64}"
KEYSET_LINE = '  keyset: {document: "s3://b-1/{scope}/anchors.json", path: /anchors, separator: "|"}'
LOCK = "  object_lock: {mode: GOVERNANCE, retain: 365d}"


def _problems(text: str, *overrides: str) -> tuple[yaml_lines.Problem, ...]:
    with pytest.raises(plans.PlanError) as refusal:
        plans.parse(text, source="plan.yaml", overrides=overrides)
    assert refusal.value.exit_code == 2
    return refusal.value.problems


def _without(*keys: str) -> str:
    value = yaml.safe_load(TEXT)
    for key in keys:
        *sections, last = key.split(".")
        section = value
        for step in sections:
            section = section[step]
        del section[last]
    return json.dumps(value)


def _replaced(line: str, by: str) -> tuple[str, int]:
    """The plan with one line replaced, and the number of that line."""
    lines = TEXT.splitlines()
    number = lines.index(line)
    lines[number] = by
    return "\n".join(lines), number + 1


def test_a_master_begins_with_the_workers_of_every_task_and_keeps_no_files_of_locust() -> None:
    text, number = _replaced("  topology: independent", "  topology: distributed")

    (kept,) = _problems(text)
    (fewer,) = _problems(text.replace("  keep: [csv, html]", "  # nothing is kept"))

    assert (kept.key, kept.allowed) == (
        "load.keep",
        "nothing with topology distributed: its workers write no such files",
    )
    assert (fewer.key, fewer.line) == ("load.topology", number)
    assert "target.min_tasks 8: a master begins with the workers of every task" in fewer.allowed


def test_the_whole_plan_is_read_as_written() -> None:
    read = plans.parse(TEXT, source="plan.yaml")

    assert (read.slug, read.group, read.blocker("B1")) == ("m10_f", "m10", "M10F-B1")
    assert read.blockers == cases.ALL_BLOCKERS
    assert read.budget.cap_seconds == 1200.0
    assert read.budget.window_seconds == 960.0
    assert read.target.least_tasks == 6
    assert read.load.rate == "auto"
    assert read.baseline is not None
    assert read.baseline.max_age == 2_592_000.0


SQL_LINE = '    sql: "select count(*) from admissions where platform_run_id = :scope"'
DOCUMENT_LINE = '    document: "s3://bucket/evidence/{scope}/caught_up.json"'
ALARM = "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:lag"
ALARM_LINE = '  - alarm: "arn:aws:cloudwatch:eu-west-2:123456789012:alarm:ingest 5xx"'
SIGN_SQL_LINE = '    sql: "select count(*) from orders where held"'
SIGN_DOCUMENT_LINE = '    document: "s3://bucket/evidence/{scope}/lag.json"'

SERVICE_DEFINITION = "    task_definition: ingest-writer:8"
SERVICE_VARIABLES = '    environment: {PLATFORM_RUN: "{scope}"}'
DRILL_RESTART = "    restart: {service: writer}"
DRILL_LAG = "    recovered_when: {series: observed_lag, at_most: 11, sustained: 60s}"
DRILL_SHARE = "    recovered_when: {series: rows_admitted, at_least: 0.9, sustained: 30s}"
DRILL_STATE = "    recovered_when: {series: rows_held, equals: ready, sustained: 10s}"


def _drill_rule(series: str, limit: str) -> str:
    return f"    recovered_when: {{series: {series}, {limit}, sustained: 60s}}"


OBSERVED_SQL_LINE = "      sql: \"select json_build_object('lag', 3)::text\""
OBSERVED_DOCUMENT_LINE = '      document: "s3://bucket/evidence/{scope}/rows.json"'
WITHIN_LINE = "        - {blocker: M10F-B2, aggregate: last, within: 1% of rows_admitted}"
AT_LEAST_LINE = "        - {blocker: M10F-B2, aggregate: last, at_least: 40}"
EQUALS_LINE = "        - {blocker: M10F-B2, aggregate: delta, equals: 41}"
COMMAND_LINE = '      command: [count-rows, "{scope}"]'
MONOTONIC_LINE = "        - {blocker: M10F-B7, monotonic: true}"
URL_LINE = "        url: http://prometheus.internal:9090"
SERVICE_LINE = "      service: ingest-gateway"
QUERY_LINE = "        query: max(checkpoint_age_seconds)"
DIMENSION_KEY = "observe.series[3].cloudwatch.dimensions.Topic"
P95_MODE = "    latency_p95_ms: {mode: informational, block: 10}"
P99_MODE = f"    latency_p99_ms: {{mode: required, promoted_by: {'c' * 64}}}"
ERROR_MODE = f"    error_ratio: {{mode: informational, demoted_by: {'c' * 64}}}"
RECORDS = "  records: [promotions/p99.json, promotions/error_demotion.json]"

# One bad value for every key: the line that holds it, the key the message names, and a word of what is allowed.
EVENT_BODY = '        body: {id: "{event_id}", run: "{scope}", text: "{filler}"}'
EVENT_BYTES = "        bytes: {least: 300, p50: 700, p90: 1200, p95: 1800, p99: 4000, most: 9000}"
BAD = [
    ("schema: burst.plan/v1", "schema: burst.plan/v2", "schema", "burst.plan/v1"),
    ("phase: M10.F", "phase: m10_f", "phase", "such as M10.F"),
    ("phase: M10.F", "phase: M10..F", "phase", "such as M10.F"),
    ("scope: platform_20260219T234150Z", "scope: two words", "scope", "a name of letters"),
    ("scope: platform_20260219T234150Z", "scope: ../up", "scope", "a name of letters"),
    ("environment: dev", "environment: production", "environment", "prod"),
    ("execution_id: m10_20260221T020923Z", "execution_id: a/b", "execution_id", "3 to 100 ASCII letters"),
    (
        "execution_id: m10_20260221T020923Z",
        "execution_id: attempts",
        "execution_id",
        "another id: attempts is a folder",
    ),
    (
        "execution_id: m10_20260221T020923Z",
        "execution_id: services",
        "execution_id",
        "another id: services is a folder",
    ),
    ("  kind: ecs", "  kind: kubernetes", "target.kind", "'local' or 'ecs'"),
    ("  tasks: 8", "  tasks: 0", "target.tasks", "greater than or equal to 1"),
    ("  tasks: 8", "  tasks: 1001", "target.tasks", "less than or equal to 1000"),
    ("  tasks: 8", "  tasks: 8.0", "target.tasks", "integer"),
    ("  tasks: 8", "  tasks: '8'", "target.tasks", "integer"),
    ("  tasks: 8", "  tasks: yes", "target.tasks", "integer"),
    ("  tasks: 8", "  tasks: 010", "target.tasks", "integer"),
    ("  tasks: 8", "  tasks: 1:30", "target.tasks", "integer"),
    ("  min_tasks: 6", "  min_tasks: 9", "target.min_tasks", "at most tasks, which is 8"),
    ("  replacements: 2", "  replacements: -1", "target.replacements", "greater than or equal to 0"),
    ("  cluster: burst-dev", "  cluster: burst dev", "target.cluster", "a name or an ARN"),
    ("  task_definition: burst-task:12", "  task_definition: burst-task", "target.task_definition", "pinned revision"),
    ("  container: burst", "  container: [burst]", "target.container", "string"),
    ("  capacity: [FARGATE_SPOT, FARGATE]", "  capacity: FARGATE", "target.capacity", "a list"),
    ("  capacity: [FARGATE_SPOT, FARGATE]", "  capacity: []", "target.capacity", "at least 1 item"),
    ("  capacity: [FARGATE_SPOT, FARGATE]", "  capacity: [FARGATE, FARGATE]", "target.capacity", "each provider once"),
    ("  subnets: [subnet-a, subnet-b]", "  subnets: []", "target.subnets", "kind ecs needs subnets"),
    ("    task_definition: burst-reaper:3", "    task_definition: a b", "target.reaper.task_definition", "ARN"),
    ("    role_arn: arn:aws:iam::123456789012:role/scheduler", "    role_arn: a b", "target.reaper.role_arn", "ARN"),
    ("    group: burst-dev", "    group: a b", "target.reaper.group", "a name of letters"),
    (
        "    dead_letter_arn: arn:aws:sqs:eu-west-2:123456789012:dead",
        "    dead_letter_arn: a b",
        "target.reaper.dead_letter_arn",
        "ARN",
    ),
    ("  security_groups: [sg-a]", "  security_groups: [1]", "target.security_groups[0]", "string"),
    ("  assign_public_ip: true", "  assign_public_ip: maybe", "target.assign_public_ip", "boolean"),
    ("  locustfile: locustfiles/ingest.py", "  locustfile: 7", "load.locustfile", "string"),
    ("  host: http://ingest.internal:8080", "  host: ingest.internal:8080", "load.host", "http://HOST"),
    ("  host: http://ingest.internal:8080", "  host: http://h/v1/ingest/push", "load.host", "twice gives 404"),
    ("  host: http://ingest.internal:8080", "  host: http://h/a@b", "load.host", "without"),
    ("  host: http://ingest.internal:8080", "  host: http://h:80800", "load.host", "a port from 1 to 65535"),
    ("  host: http://ingest.internal:8080", "  host: http://h:web", "load.host", "a port from 1 to 65535"),
    ("  host: http://ingest.internal:8080", "  host: http://:80", "load.host", "http://HOST"),
    ("  profile: steady", "  profile: a b", "load.profile", "a name of letters"),
    ("  rate: auto", "  rate: fast", "load.rate", "events per minute"),
    ("  rate: auto", "  rate: 0", "load.rate", "above 0"),
    ("  rate: auto", "  rate: 0/s", "load.rate", "1500/s"),
    ("  rate: auto", "  rate: 1500/h", "load.rate", "1500/s or 1500/min"),
    ("  rate: auto", "  rate: []", "load.rate", "at least 1 item"),
    ("    HOST: http://lane-{index}.internal:8080", "    HOST: http://a", "load.per_shard.HOST", "a text with {index}"),
    ("    HOST: http://lane-{index}.internal:8080", "    HOST: lane-{index}", "load.per_shard.HOST", "http://HOST"),
    (
        "    HOST: http://lane-{index}.internal:8080",
        "    HOST: http://lane:6553{index}",
        "load.per_shard.HOST",
        "a port from 1 to 65535 for each task, which http://lane:65536 of task 6 is not",
    ),
    ("    OUTPUT: lane-{index}", "    OUTPUT: [s1]", "load.per_shard.OUTPUT", "8 values, one for"),
    ("    OUTPUT: lane-{index}", "    API_KEY: [s1]", "load.per_shard.API_KEY", "no secret"),
    (
        "    OUTPUT: lane-{index}",
        "    BURST_X: [s1]",
        "load.per_shard.BURST_X",
        "without BURST_ and LOCUST_",
    ),
    ("  topology: independent", "  topology: star", "load.topology", "'independent' or 'distributed'"),
    ("  processes: 2", "  processes: 0", "load.processes", "greater than or equal to 1"),
    ("  processes: 2", "  processes: 65", "load.processes", "less than or equal to 64"),
    ("  processes: 2", "  processes: 41", "load.processes", "at most users, which is 40"),
    ("  arguments: [--own, x]", "  arguments: [--processes, '2']", "load.arguments[0]", "load.processes says it"),
    ("  arguments: [--own, x]", "  arguments: [--worker]", "load.arguments[0]", "load.topology distributed"),
    ("  warmup: 5s", "  warmup: 60", "load.warmup", "a duration"),
    ("  warmup: 5s", "  warmup: 5m", "load.warmup", "ends before the cap (20m) does, not after 21m"),
    ("  rate: auto", "  rate: .nan", "load.rate", "above 0"),
    ("  rate: auto", "  rate: true", "load.rate", "above 0"),
    ("  headroom: 1.1", "  headroom: 0.9", "load.headroom", "greater than or equal to 1"),
    ("  headroom: 1.1", "  headroom: 1e999", "load.headroom", "finite"),
    ("  source_events: 20000", "  source_events: 0", "load.source_events", "greater than 0"),
    ("  source_events: 20000", "  source_events: 9007199254740992", "load.source_events", "9007199254740991"),
    ("  api_key: env:IG_API_KEY", f"  api_key: {SECRET}", "load.api_key", "a reference"),
    ("  api_key: env:IG_API_KEY", "  api_key: 'env:not a name'", "load.api_key", "a reference"),
    ('  environment: {STREAM_SPEEDUP: "120"}', f"  environment: TOKEN={SECRET}", "load.environment", "a mapping"),
    ('  environment: {STREAM_SPEEDUP: "120"}', f"  environment: {{A: [{SECRET}]}}", "load.environment.A", "string"),
    (
        '  environment: {STREAM_SPEEDUP: "120"}',
        "  environment: {STREAM_SPEEDUP: 120}",
        "load.environment.STREAM_SPEEDUP",
        "a number needs quotes",
    ),
    ('  environment: {STREAM_SPEEDUP: "120"}', f'  environment: {{"A B": "{SECRET}"}}', "load.environment", "names"),
    (
        '  environment: {STREAM_SPEEDUP: "120"}',
        '  environment: {BURST_BUDGET_SECONDS: "99999"}',
        "load.environment",
        "burst's own BURST_",
    ),
    ("  waits_for_go: true", "  waits_for_go: 1", "load.waits_for_go", "boolean"),
    ("  require: [guard, sidecar, lease, schedule]", "  require: [prayer]", "layers.require[0]", "'guard'"),
    ("  lease_ttl: 30s", "  lease_ttl: 0s", "layers.lease_ttl", "greater than 0"),
    ("  max: 90m", "  max: 90", "budget.max", "a duration"),
    ("  max: 90m", "  max: 90 m", "budget.max", "a duration"),
    ("  max: 90m", "  max: 99999999h", "budget.max", "ten years"),
    ("  max: 90m", f"  max: {'9' * 5000}m", "budget.max", "a duration"),
    ("  operator_cap: 20m", "  operator_cap: 91m", "budget.operator_cap", "at most max, which is 90m"),
    ("  min_window: 15m", "  min_window: 15min", "budget.min_window", "a duration"),
    ("  min_window: 15m", "  min_window: 17m", "budget.window", "at least min_window, which is 17m"),
    ("  window: 16m", "  window: 20m", "budget.window", "before the cap (20m)"),
    ("  start_timeout: 60s", "  start_timeout: soon", "budget.start_timeout", "a duration"),
    ("  stop_grace: 30s", "  stop_grace: -30s", "budget.stop_grace", "a duration"),
    ("  stop_grace: 30s", "  stop_grace: 601s", "budget.stop_grace", "less than or equal to 600"),
    ("  cost_cap_usd: 5", "  cost_cap_usd: 0", "budget.cost_cap_usd", "greater than 0"),
    ("    vcpu_hour_usd: 0.04", "    vcpu_hour_usd: 0", "target.price.vcpu_hour_usd", "greater than 0"),
    ("    gb_hour_usd: 0.004", "    gb_hour_usd: free", "target.price.gb_hour_usd", "number"),
    ("  arrivals: poisson", "  arrivals: bunched", "load.arrivals", "'even' or 'poisson'"),
    ("  users: 40", "  users: 0", "load.users", "greater than or equal to 1"),
    ("  spawn_rate: 2.5", "  spawn_rate: 0", "load.spawn_rate", "greater than 0"),
    ("  arguments: [--own, x]", "  arguments: --own", "load.arguments", "a list"),
    ("  arguments: [--own, x]", "  arguments: [--run-time, 3s]", "load.arguments[0]", "budget.window ends the load"),
    ("  tags: [fast, paid]", "  tags: []", "load.tags", "at least 1 item"),
    ("  tags: [fast, paid]", "  tags: [a b]", "load.tags[0]", "a name of letters"),
    ("  keep: [csv, html]", "  keep: [pdf]", "load.keep[0]", "csv"),
    ("  keep: [csv, html]", "  keep: [csv, csv]", "load.keep", "each kind once"),
    ("  user_classes: [Buyer, Looker]", "  user_classes: []", "load.user_classes", "at least 1 item"),
    ("  user_classes: [Buyer, Looker]", "  user_classes: [Buyer, Buyer]", "load.user_classes", "each user once"),
    ("  locustfile: locustfiles/ingest.py", "  locustfile: 'a.py,b.py'", "load.locustfile", "a list of files"),
    ("  locustfile: locustfiles/ingest.py", "  locustfile: [a.py, a.py]", "load.locustfile", "each file once"),
    ("  locustfile: locustfiles/ingest.py", "  locustfile: []", "load.locustfile", "at least 1 item"),
    ("  canary: false", "  canary: maybe", "load.canary", "boolean"),
    ("    duplicates: 2.5%", "    duplicates: 2.5", "load.events.duplicates", "a share such as 2.5%"),
    ("    duplicates: 2.5%", "    duplicates: 250%", "load.events.duplicates", "a share such as 2.5%"),
    ("    duplicates: 2.5%", "    duplicates: 40%", "load.events.duplicates", "at most 25% together, not 41%"),
    ("    malformed: 0.01", "    malformed: some", "load.events.malformed", "a share such as 2.5%"),
    ("      - name: order", "      - name: a b", "load.events.templates[0].name", "a name of letters"),
    ("        weight: 3", "        weight: 0", "load.events.templates[0].weight", "greater than or equal to 1"),
    (EVENT_BODY, "        body: {id: x}", "load.events.templates[0].body", "{event_id} is missing"),
    (
        EVENT_BODY,
        '        body: {id: "{event_id}"}',
        "load.events.templates[0].body",
        "{filler} has to stand there once",
    ),
    (
        EVENT_BODY,
        '        body: {id: "{me}"}',
        "load.events.templates[0].body",
        "{me} is not known; allowed are {event_id}",
    ),
    *(
        (EVENT_BYTES, EVENT_BYTES.replace(f"{name}: ", f"{name}: -"), f"load.events.templates[0].bytes.{name}", "1")
        for name in ("least", "p50", "p90", "p95", "p99", "most")
    ),
    (
        EVENT_BYTES,
        "        bytes: {least: 300, p50: 200, most: 400}",
        "load.events.templates[0].bytes.most",
        "sizes that rise",
    ),
    (
        '    malformed_body: {id: "{event_id}", run: 7}',
        "    malformed_body: {}",
        "load.events.malformed_body",
        "1 item",
    ),
    ("  route: /v2/events", "  route: v2", "load.route", "a path such as"),
    ("  key_header: X-Key", "  key_header: 'X: y'", "load.key_header", "the name of a header"),
    ("  offered_load: 0.98", "  offered_load: 1.01", "gates.offered_load", "less than or equal to 1"),
    ("  latency_p95_ms: 400", "  latency_p95_ms: 0", "gates.latency_p95_ms", "greater than 0"),
    ("  latency_p99_ms: 900", "  latency_p99_ms: 0", "gates.latency_p99_ms", "greater than 0"),
    ("  error_ratio: 0.01", "  error_ratio: 2", "gates.error_ratio", "less than or equal to 1"),
    ("  client_error_ratio: 0.005", "  client_error_ratio: -1", "gates.client_error_ratio", "greater than or equal"),
    ("  server_error_ratio: 0.005", "  server_error_ratio: all", "gates.server_error_ratio", "number"),
    (
        "  warn_at: {latency_p95_ms: 300}",
        "  warn_at: {latency_p95_ms: 400}",
        "gates.warn_at.latency_p95_ms",
        "less than",
    ),
    ("  multiplier_lower: 2.9", "  multiplier_lower: 0", "gates.multiplier_lower", "greater than 0"),
    (P95_MODE, "    latency_p95_ms: {mode: shown, block: 10}", "gates.modes.latency_p95_ms.mode", "'informational'"),
    (P95_MODE, "    latency_p95_ms: {mode: informational, block: 4}", "gates.modes.latency_p95_ms.block", "equal to 5"),
    (P95_MODE, "    latency_p95_ms: {mode: required}", "gates.modes.latency_p95_ms.promoted_by", "a gate is required"),
    (P99_MODE, "    latency_p99_ms: {mode: shown}", "gates.modes.latency_p99_ms.mode", "'informational'"),
    (
        P99_MODE,
        "    latency_p99_ms: {mode: required, promoted_by: c}",
        "gates.modes.latency_p99_ms.promoted_by",
        "64 of the digits",
    ),
    (ERROR_MODE, "    error_ratio: {mode: shown}", "gates.modes.error_ratio.mode", "'informational'"),
    (
        ERROR_MODE,
        "    error_ratio: {mode: informational, demoted_by: c}",
        "gates.modes.error_ratio.demoted_by",
        "64 of the digits",
    ),
    (RECORDS, "  records: []", "gates.records", "at least 1 item"),
    ("    event: event_id", "    event: 7", "receipts.columns.event", "string"),
    ("  dsn: env:IG_ADMISSION_DSN", f"  dsn: host=db password={SECRET}", "receipts.dsn", "a reference"),
    ("  dsn: env:IG_ADMISSION_DSN", f"  dsn: postgresql://u:{SECRET}@db/x", "receipts.dsn", "references"),
    ("  via: task", "  via: carrier", "receipts.via", "'direct' or 'task'"),
    (
        "    task_definition: burst-dev-counter:3",
        '    task_definition: "a b"',
        "receipts.task.task_definition",
        "an ARN",
    ),
    ("    container: counter", "    container: [a]", "receipts.task.container", "string"),
    ("    start_timeout: 3m", "    start_timeout: 3", "receipts.task.start_timeout", "a duration"),
    ("  table: receipts", "  table: 5", "receipts.table", "string"),
    ("    decision: decision", "    decision: 5", "receipts.columns.decision", "string"),
    ("    at: created_at_utc", "    at: [a]", "receipts.columns.at", "string"),
    ("    scope: platform_run_id", "    scope: true", "receipts.columns.scope", "string"),
    ("  bucket: 60s", "  bucket: 0.0000001s", "receipts.bucket", "microsecond"),
    ("  bucket: 60s", "  bucket: 61ms", "receipts.bucket", "at least 0.0615s"),
    ("  settle: 5s", "  settle: 5", "receipts.settle", "a duration"),
    ("  count_timeout: 60s", "  count_timeout: 1m1h", "receipts.count_timeout", "a duration"),
    ("  max_skew: 2s", "  max_skew: {}", "receipts.max_skew", "a duration"),
    ("  require_check: false", "  require_check: 1", "receipts.require_check", "a valid boolean"),
    ("  require_check: false", "  require_check: true", "receipts.require_check", "only the counting task reaches"),
    ("  database_seconds_max: 10m", "  database_seconds_max: 0s", "receipts.database_seconds_max", "greater than 0"),
    ("  time_unit: ms", "  time_unit: minutes", "receipts.time_unit", "'s', 'ms', 'us' or 'ns'"),
    ("    ADMIT: [accepted]", "    ADMIT: []", "receipts.decisions.ADMIT", "at least 1"),
    ("    ADMIT: [accepted]", "    ADMIT: [DUPLICATE]", "receipts.decisions.ADMIT[0]", "stands for DUPLICATE already"),
    (
        "    ADMIT: [accepted]",
        "    ADMIT: [ok, ok]",
        "receipts.decisions.ADMIT[1]",
        "'ok' stands for ADMIT already",
    ),
    ("    ADMIT: [accepted]", "    REJECT: [no]", "receipts.decisions.REJECT", "'ADMIT', 'DUPLICATE'"),
    ("  file: baselines/m10_e.json", "  file: 5", "baseline.file", "string"),
    (f"  sha256: {'a' * 64}", "  sha256: AAAA", "baseline.sha256", "64 of the digits"),
    ("  max_age: 720h", "  max_age: 30d", "baseline.max_age", "a duration"),
    ("  multiplier: 3.0", "  multiplier: 0", "gates.multiplier", "greater than 0"),
    ("  multiplier: 3.0", "  multiplier: .inf", "gates.multiplier", "number"),
    ("  min_admits: 50000", "  min_admits: 0", "gates.min_admits", "greater than 0"),
    ("  contiguity: {max_gap: 2m}", "  contiguity: {max_gap: 0s}", "gates.contiguity.max_gap", "greater than 0"),
    ("  contiguity: {max_gap: 2m}", "  contiguity: {max_gap: 59s}", "gates.contiguity.max_gap", "at least 1m"),
    ("  contiguity: {max_gap: 2m}", "  contiguity: []", "gates.contiguity", "a mapping"),
    ("    ADMIT: {at_most: 0.6, at_least: 0.4}", "    ADMIT: {at_most: 2}", "gates.decision_shares.ADMIT.at_most", "1"),
    (
        *("    ADMIT: {at_most: 0.6, at_least: 0.4}", "    ADMIT: {at_least: -1}"),
        *("gates.decision_shares.ADMIT.at_least", "0"),
    ),
    ("    ADMIT: {at_most: 0.6, at_least: 0.4}", "    ADMIT: {}", "gates.decision_shares.ADMIT.at_most", "both"),
    (
        *("    DUPLICATE: {at_most: 0.55, at_least: 0.45}", "    DUPLICATE: {at_most: 0.4, at_least: 0.45}"),
        *("gates.decision_shares.DUPLICATE.at_least", "no more than at_most"),
    ),
    (
        *("    DUPLICATE: {at_most: 0.55, at_least: 0.45}", "    DUPLICATE: {at_most: x}"),
        *("gates.decision_shares.DUPLICATE.at_most", "number"),
    ),
    (
        *("    QUARANTINE: {at_most: 0.05, at_least: 0.0}", "    QUARANTINE: {at_most: 5}"),
        *("gates.decision_shares.QUARANTINE.at_most", "1"),
    ),
    (
        *("    QUARANTINE: {at_most: 0.05, at_least: 0.0}", "    QUARANTINE: {at_least: -0.1}"),
        *("gates.decision_shares.QUARANTINE.at_least", "0"),
    ),
    ("  expect_duplicates: 100", "  expect_duplicates: 0", "gates.expect_duplicates", "greater than 0"),
    ("  admit_ratio: 0.995", "  admit_ratio: 99.5", "gates.admit_ratio", "less than or equal to 1"),
    ("  admit_ratio: 0.995", "  admit_ratio: 99.5%", "gates.admit_ratio", "number"),
    ("  - name: ingest-writer", "  - name: a b", "services[0].name", "a name of letters"),
    ("    desired: 6", "    desired: -1", "services[0].desired", "greater than or equal to 0"),
    (SERVICE_DEFINITION, "    task_definition: writer", "services[0].task_definition", "pinned"),
    (SERVICE_VARIABLES, "    environment: {API_KEY: x}", "services[0].environment.API_KEY", "no secret"),
    (SERVICE_VARIABLES, "    environment: {}", "services[0].environment", "at least 1 item"),
    (SERVICE_VARIABLES, "    environment: {PLATFORM_RUN: 5}", "services[0].environment.PLATFORM_RUN", "string"),
    ("    container: writer", "    container: a b", "services[0].container", "a name of letters"),
    ("  - name: migrate", "  - name: A", "before[0].name", "such as migrate"),
    ("    task_definition: reporter:3", "    task_definition: reporter", "before[0].task_definition", "pinned"),
    ("    container: reporter", "    container: a b", "before[0].container", "a name of letters"),
    ("    command: [report, --migrate]", "    command: []", "before[0].command", "at least 1 item"),
    ("    timeout: 2m", "    timeout: 2", "before[0].timeout", "a duration with units"),
    ("    exit_code: 3", "    exit_code: 300", "before[0].exit_code", "less than or equal to 255"),
    ("  - name: refresh", "  - name: migrate", "after[0].name", "stands twice"),
    ("    task_definition: reporter:4", "    task_definition: a b", "after[0].task_definition", "ARN"),
    ("    container: refresher", "    container: a b", "after[0].container", "a name of letters"),
    ("    command: [report, --refresh]", "    command: report", "after[0].command", "a list"),
    ("    timeout: 3m", "    timeout: 0s", "after[0].timeout", "greater than 0"),
    ("    exit_code: 4", "    exit_code: four", "after[0].exit_code", "integer"),
    ("  shares_within: 0.04", "  shares_within: 1", "reproduces.shares_within", "less than 1"),
    ("  snapshot: s3://b-1/control/m10_first", "  snapshot: gs://b", "reproduces.snapshot", "s3://BUCKET/PREFIX"),
    ("  phase: M10.G", "  phase: m10", "reproduces.phase", "such as M10.F"),
    (REFERENCE_LINE, "  sha256: abc", "reproduces.sha256", "64 of the digits"),
    (KEYSET_LINE, "  keyset: {sql: select 1, separator: 123456789}", "reproduces.keyset.separator", "a string"),
    (KEYSET_LINE, "  keyset: {separator: x}", "reproduces.keyset.sql", "either sql, or document with path"),
    (KEYSET_LINE, "  keyset: {document: s3://b-1/x}", "reproduces.keyset.path", "document and path together"),
    (KEYSET_LINE, "  keyset: {document: x.json, path: /a}", "reproduces.keyset.document", "s3://BUCKET/KEY"),
    ("  - name: restart-writer", "  - name: Restart", "during[0].name", "such as restart-writer"),
    ("  - name: restart-writer", "  - name: restart-the-writer", "during[0].name", "such as restart-writer"),
    ("  - name: cut-network", "  - name: restart-writer", "during[1].name", "stands twice"),
    ("    at: 5m", "    at: 5", "during[0].at", "a duration with units"),
    ("    at: 14m", "    at: 15m", "during[2].at", "within the window of 16m5s; they end after 16m10s"),
    (DRILL_RESTART, "    restart: {service: a b}", "during[0].restart.service", "a name of letters"),
    (DRILL_RESTART, f"{DRILL_RESTART}\n    command: [x]", "during[0].restart", "either restart or command"),
    ("    undo: [drills, --mend]", "    undo: []", "during[0].undo", "at least 1 item"),
    ("    timeout: 45s", "    timeout: 45", "during[0].timeout", "a duration with units"),
    ("    task_definition: drills:3", "    task_definition: drills", "during[0].task_definition", "pinned"),
    ("    container: drills", "    container: a b", "during[0].container", "a name of letters"),
    ("    recover_within: 4m", "    recover_within: 4", "during[0].recover_within", "a duration with units"),
    ("    command: [drills, --cut]", "    command: cut", "during[1].command", "a list"),
    ("    exit_code: 5", "    exit_code: 256", "during[1].exit_code", "less than or equal to 255"),
    (DRILL_LAG, _drill_rule("a b", "at_most: 11"), "during[0].recovered_when.series", "a name of letters"),
    (
        DRILL_LAG,
        _drill_rule("lag", "at_most: 1"),
        "during[0].recovered_when.series",
        "a series of observe: observed_lag",
    ),
    (DRILL_LAG, DRILL_LAG.replace("60s", "9s"), "during[0].recovered_when.sustained", "at least observe.every"),
    (DRILL_LAG, _drill_rule("lag", "at_most: ten"), "during[0].recovered_when.at_most", "number"),
    (DRILL_LAG, DRILL_LAG.replace("60s", "0s"), "during[0].recovered_when.sustained", "greater than 0"),
    (DRILL_SHARE, _drill_rule("share", "at_least: x"), "during[1].recovered_when.at_least", "number"),
    (DRILL_STATE, _drill_rule("state", "equals: [1]"), "during[2].recovered_when.equals", "boolean or a valid integer"),
    (DRILL_STATE, _drill_rule("s", "equals: 1, at_most: 1"), "during[2].recovered_when.equals", "exactly one of"),
    ("  - blocker: M10F-B2", "  - blocker: M10F-B0", "facts[0].blocker", "a blocker of M10.F: M10F-B1, M10F-B2"),
    ("  - blocker: M10F-B2", "  - blocker: M10G-B2", "facts[0].blocker", "a blocker of M10.F: M10F-B1, M10F-B2"),
    ("kind: burst", "kind: storm", "kind", "'burst', 'window', 'soak'"),
    ("    name: publish_ambiguous", "    name: a b", "facts[0].name", "a name of letters"),
    (SQL_LINE, "    sql: 5", "facts[0].sql", "string"),
    ("  every: 10s", "  every: 5", "observe.every", "a duration"),
    ("  every: 10s", "  every: 500ms", "observe.every", "greater than or equal to 1"),
    ("  settle: 3s", "  settle: 11m", "observe.settle", "less than or equal to 600"),
    ("    - name: observed_lag", "    - name: a b", "observe.series[0].name", "a name of letters"),
    (OBSERVED_SQL_LINE, "      sql: 5", "observe.series[0].sql", "string"),
    ("      path: /lag/now", "      path: lag", "observe.series[0].path", "a JSON pointer"),
    ("      at: /lag/at_utc", "      at: at", "observe.series[0].at", "a JSON pointer"),
    ("      scope: /lag/scope", "      scope: scope", "observe.series[0].scope", "a JSON pointer"),
    ("        - blocker: M10F-B7", "        - blocker: M10G-B7", "observe.series[0].rules[0].blocker", "of M10.F"),
    ("          aggregate: max", "          aggregate: mean", "observe.series[0].rules[0].aggregate", "'max', 'min'"),
    ("          over: last 10m", "          over: last 10", "observe.series[0].rules[0].over", "a duration with units"),
    ("          over: last 10m", "          over: last 20m", "observe.series[0].rules[0].over", "which is 15m"),
    ("          at_most: 12", "          at_most: ten", "observe.series[0].rules[0].at_most", "number"),
    ("          max_stall: 11m", "          max_stall: 11", "observe.series[0].rules[1].max_stall", "a duration"),
    ("          max_stall: 11m", "          max_stall: 16m", "observe.series[0].rules[1].max_stall", "at most 15m"),
    ("          max_stall: 11m", "          max_stall: 4s", "observe.series[0].rules[1].max_stall", "at least every"),
    (WITHIN_LINE, WITHIN_LINE.replace("1% of rows_admitted", "near"), "observe.series[0].rules[2].within", "1% of"),
    (
        WITHIN_LINE,
        WITHIN_LINE.replace("rows_admitted", "nothing"),
        "observe.series[0].rules[2].within",
        "another series",
    ),
    (OBSERVED_DOCUMENT_LINE, "      document: rows.json", "observe.series[1].document", "s3://BUCKET/KEY"),
    (AT_LEAST_LINE, AT_LEAST_LINE.replace("40", "true"), "observe.series[1].rules[0].at_least", "number"),
    (COMMAND_LINE, "      command: []", "observe.series[2].command", "at least 1 item"),
    (EQUALS_LINE, EQUALS_LINE.replace("41", "[41]"), "observe.series[2].rules[0].equals", "boolean or a valid integer"),
    ("        namespace: AWS/Kafka", "        namespace: 5", "observe.series[3].cloudwatch.namespace", "string"),
    ("        metric: MaxOffsetLag", "        metric: 5", "observe.series[3].cloudwatch.metric", "string"),
    ("        dimensions: {Topic: orders}", "        dimensions: {Topic: 5}", DIMENSION_KEY, "string"),
    (
        "        statistic: p99",
        "        statistic: mean",
        "observe.series[3].cloudwatch.statistic",
        "such as p99.9",
    ),
    ("        period: 5m", "        period: 7s", "observe.series[3].cloudwatch.period", "whole minutes"),
    (MONOTONIC_LINE, MONOTONIC_LINE.replace("true", "false"), "observe.series[3].rules[0].monotonic", "True"),
    (URL_LINE, "        url: prometheus:9090", "observe.series[4].prometheus.url", "http:// or https://"),
    (QUERY_LINE, "        query: 5", "observe.series[4].prometheus.query", "string"),
    (SERVICE_LINE, "      service: a b", "observe.series[5].service", "a name of letters"),
    ("    equals: 0", "    equals: [0]", "facts[0].equals", "boolean or a valid integer"),
    (DOCUMENT_LINE, "    document: 5", "facts[1].document", "string"),
    (DOCUMENT_LINE, "    document: caught_up.json", "facts[1].document", "s3://BUCKET/KEY"),
    (DOCUMENT_LINE, "    document: s3://bucket/evidence/", "facts[1].document", "s3://BUCKET/KEY"),
    ("    path: /max_lag", "    path: max_lag", "facts[1].path", "a JSON pointer"),
    ("    equals: 0", "    equals: 9007199254740993", "facts[0].equals", "a whole number JSON holds exactly"),
    ("    at_most: 10", "    at_most: ten", "facts[1].at_most", "number"),
    ("    at_most: 10", "    at_most: -9007199254740993", "facts[1].at_most", "a whole number JSON holds exactly"),
    ("    at_least: 0.5", "    at_least: true", "facts[2].at_least", "number"),
    (ALARM_LINE, "  - alarm: ingest-5xx", "stop_when[0].alarm", "arn:aws:cloudwatch:REGION:ACCOUNT:alarm:NAME"),
    (ALARM_LINE, "  - alarm: arn:aws:sns:eu-west-2:123456789012:x", "stop_when[0].alarm", "arn:aws:cloudwatch"),
    (ALARM_LINE, "  - sql: select 1", "stop_when[0].name", "alarm, or name with a question"),
    ("  - name: open_orders_held", "  - name: a b", "stop_when[1].name", "a name of letters"),
    ("  - name: broken", "  - name: lag", "stop_when[3].name", "distinct alarms and names, but lag stands twice"),
    ("  - name: open_orders_held", f"  - alarm: {ALARM}", "stop_when[1].alarm", "an alarm without sql"),
    (SIGN_SQL_LINE, "    sql: 5", "stop_when[1].sql", "string"),
    ("    at_least: 7", "    at_least: seven", "stop_when[1].at_least", "number"),
    (SIGN_DOCUMENT_LINE, "    document: lag.json", "stop_when[2].document", "s3://BUCKET/KEY"),
    ("    path: /lag", "    path: lag", "stop_when[2].path", "a JSON pointer"),
    ("    at_most: 3", "    at_most: three", "stop_when[2].at_most", "number"),
    ("    equals: true", "    equals: [1]", "stop_when[3].equals", "boolean or a valid integer"),
    ("  only: [M10F-B1, M10F-B5, M10F-B8]", "  only: [M10F-B1, M10F-B10]", "rerun.only[1]", "a blocker of M10.F"),
    ("  only: [M10F-B1, M10F-B5, M10F-B8]", "  only: []", "rerun.only", "at least 1 item"),
    ("  prior: s3://bucket/m10_f_burst_snapshot.json", "  prior: {}", "rerun.prior", "string"),
    (f"  prior_sha256: {'b' * 64}", "  prior_sha256: b", "rerun.prior_sha256", "64 of the digits"),
    ('  non_goals: ["no scaling"]', "  non_goals: no scaling", "rerun.non_goals", "a list"),
    ("  - key: gates.multiplier", "  - key: gates multiplier", "rerun.changes[0].key", "a key of the plan"),
    ("    from: 3.0", "    from: 9007199254740993", "rerun.changes[0].from", "a value that JSON holds exactly"),
    ("    to: 2.5", "    to: 3.0", "rerun.changes[0].to", "another value than from"),
    ("    why: fewer partitions", "    why: 7", "rerun.changes[0].why", "a string"),
    ("  local: runs", "  local: [runs]", "evidence.local", "string"),
    (
        "  run_control: s3://bucket/evidence/dev_min/run_control",
        "  run_control: /tmp/x",
        "evidence.run_control",
        "s3://BUCKET/PREFIX",
    ),
    (
        "  run_control: s3://bucket/evidence/dev_min/run_control",
        "  run_control: s3://evidence--use1-az4--x-s3/run_control",
        "evidence.run_control",
        "no directory bucket, which ends in --x-s3",
    ),
    (
        "  run_scoped: [s3://bucket/evidence/runs, s3://mirror/evidence/runs]",
        "  run_scoped: s3://bucket",
        "evidence.run_scoped",
        "s3://BUCKET/PREFIX",
    ),
    *(
        (
            "  run_control: s3://bucket/evidence/dev_min/run_control",
            f"  run_control: s3://bucket/{prefix}",
            "evidence.run_control",
            "s3://BUCKET/PREFIX",
        )
        for prefix in ("/", "a//b", "../a", "a/./b")
    ),
    (SIGN_LINE, "  sign: {key: signing.pem}", "evidence.sign.key", "file:PATH"),
    (SIGN_LINE, "  sign: {key: env:SIGNING_KEY}", "evidence.sign.key", "kms:ARN"),
    (SIGN_LINE, "  sign: kms:alias/burst", "evidence.sign", "a mapping"),
    ("  regions: {mirror: eu-central-1}", "  regions: {mirror: Europe}", "evidence.regions.mirror", "a region of AWS"),
    ("  kms_key: alias/evidence", "  kms_key: a key", "evidence.kms_key", "a name or an ARN"),
    (LOCK, "  object_lock: {mode: SOFT, retain: 365d}", "evidence.object_lock.mode", "GOVERNANCE"),
    (LOCK, "  object_lock: {mode: GOVERNANCE, retain: 365}", "evidence.object_lock.retain", "days such as 365d"),
    ('  bucket_owner: "123456789012"', "  bucket_owner: me", "evidence.bucket_owner", "12 digits"),
    (WEBHOOK_LINE, '  webhook: [{url: "ftp://ci.example"}]', "outlets.webhook[0].url", "http(s)://HOST"),
    (
        WEBHOOK_LINE,
        '  webhook: [{url: "https://user@ci.example"}]',
        "outlets.webhook[0].url",
        "an address without them",
    ),
    (WEBHOOK_LINE, "  webhook: [{url: env:HOOK, key: abc}]", "outlets.webhook[0].key", "env:NAME"),
    (WEBHOOK_LINE, "  webhook: []", "outlets.webhook", "at least 1"),
    ("  cdevents: [{url: env:CDEVENTS_URL}]", "  cdevents: [{}]", "outlets.cdevents[0].url", "required"),
    (BUS_LINE, "  eventbridge: {bus: a bus}", "outlets.eventbridge.bus", "a name or an ARN"),
    (BUS_LINE, "  eventbridge: {bus: releases, region: Dublin}", "outlets.eventbridge.region", "a region of AWS"),
    (
        '  otlp: {endpoint: "http://127.0.0.1:4318"}',
        "  otlp: {endpoint: collector}",
        "outlets.otlp.endpoint",
        "http(s)",
    ),
    ("  openmetrics: metrics/burst.prom", '  openmetrics: ""', "outlets.openmetrics", "the real value"),
    ("  notify: [env:SLACK_URL]", "  notify: [slack]", "outlets.notify[0]", "env:NAME"),
    ("  checksums: when_required", "  checksums: never", "evidence.checksums", "when_supported"),
]


@pytest.mark.parametrize(("line", "by", "key", "allowed"), BAD, ids=[f"{bad[2]}: {bad[1].strip()}" for bad in BAD])
def test_a_bad_value_is_named_by_line_and_key_with_what_is_allowed(line: str, by: str, key: str, allowed: str) -> None:
    text, number = _replaced(line, by)

    found = [problem for problem in _problems(text) if problem.key == key]

    assert len(found) == 1

    assert found[0].line == number or key in {"budget.window", "load.environment.A"}
    assert allowed in found[0].allowed
    assert SECRET not in found[0].text("plan.yaml")


BAD_ENTRIES = [
    ("{name: window, place", "{name: a b, place", "requires.phases[0].name", "a name of letters"),
    ("place: s3://b-1/control", "place: gs://b-1/control", "requires.phases[0].place", "s3://BUCKET/PREFIX"),
    ("phase: M10.E", "phase: m10_e", "requires.phases[0].phase", "such as M10.F"),
    ("kind: window", "kind: party", "requires.phases[0].kind", "'burst'"),
    (
        "scope: platform_1, " + PHASE_DIGEST,
        "scope: any",
        "requires.phases[0].scope",
        "beside sha256",
    ),
    (
        PHASE_DIGEST,
        "sha256: c",
        "requires.phases[0].sha256",
        "64 of the digits",
    ),
    ("{name: lag, document", "{name: completed, document", "requires.documents[1].name", "stands twice"),
    ('document: "s3://b-1/runs/', 'document: "ftp://b-1/runs/', "requires.documents[0].document", "s3://BUCKET/KEY"),
    ("path: /state, equals: DONE", "equals: DONE", "requires.documents[0].path", "path with exactly one of"),
    ("path: /state, equals: DONE", "path: /state, equals: []", "requires.documents[0].equals", ""),
    ("path: /lag, at_most: 10", "path: /lag, at_most: ten", "requires.documents[1].at_most", "number"),
    (
        'lag.json", path: /share, at_least: 0.5',
        'lag.json", path: /share, at_least: half',
        "requires.documents[2].at_least",
        "number",
    ),
    ("until: 5m", "until: 5", "requires.documents[0].until", "a duration"),
    ("{name: held", "{name: a b", "requires.facts[2].name", "a name of letters"),
    ("sql: select count(*) from queue", "sql: 5", "requires.facts[0].sql", "string"),
    ('document: "s3://b-1/{scope}/caught_up.json"', "document: a.json", "requires.facts[1].document", "s3://BUCKET"),
    ('caught_up.json", path: /share', 'caught_up.json", path: share', "requires.facts[1].path", "a JSON pointer"),
    ("queue, equals: 0", "queue, equals: []", "requires.facts[0].equals", ""),
    ("at_most: 3}", "at_most: three}", "requires.facts[2].at_most", "number"),
    (
        'caught_up.json", path: /share, at_least: 0.5',
        'caught_up.json", path: /share, at_least: half',
        "requires.facts[1].at_least",
        "number",
    ),
    ("until: 10m", "until: 7h", "requires.facts[0].until", "less than or equal to"),
    ("- name: gateway", "- name: a b", "requires.services[0].name", "a name of letters"),
    ("    running: 4", "    running: 0", "requires.services[0].running", "greater than or equal to 1"),
    (
        "    image: sha256:dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd",
        "    image: gateway:latest",
        "requires.services[0].image",
        "sha256: and 64 of the digits",
    ),
    (
        "    task_definition: gateway:12",
        "    task_definition: gateway",
        "requires.services[0].task_definition",
        "such as gateway:12",
    ),
    (
        '{PLATFORM_RUN_ID: "{scope}"}',
        "{PLATFORM_RUN_ID: 5}",
        "requires.services[0].environment.PLATFORM_RUN_ID",
        "quotes",
    ),
    ('{PLATFORM_RUN_ID: "{scope}"}', "[a]", "requires.services[0].environment", "a mapping"),
    ("    until: 12m", "    until: 0s", "requires.services[0].until", "greater than 0"),
    ("  nothing_alive: true", "  nothing_alive: 1", "requires.nothing_alive", "boolean"),
]
"""Values of `requires`, each in place of a part of a line."""


@pytest.mark.parametrize(
    ("part", "by", "key", "allowed"), BAD_ENTRIES, ids=[f"{bad[2]}: {bad[1]}" for bad in BAD_ENTRIES]
)
def test_a_bad_entry_gate_is_named_by_key_with_what_is_allowed(part: str, by: str, key: str, allowed: str) -> None:
    assert TEXT.count(part) == 1

    found = [problem for problem in _problems(TEXT.replace(part, by)) if problem.key == key]

    assert len(found) == 1
    assert allowed in found[0].allowed


@pytest.mark.parametrize("bucket", ["ab", "Evidence", "evidence_dev", "-evidence", "x" * 64])
@pytest.mark.parametrize(
    ("line", "by", "key"),
    [
        ("  run_control: s3://bucket/evidence/dev_min/run_control", "  run_control: {}", "evidence.run_control"),
        (DOCUMENT_LINE, "    document: {}", "facts[1].document"),
    ],
    ids=["a place", "a document"],
)
def test_a_bucket_that_can_be_none_is_shown_with_the_names_that_can(line: str, by: str, key: str, bucket: str) -> None:
    address = f"s3://{bucket}/evidence/x.json"

    (found,) = [problem for problem in _problems(_replaced(line, by.format(address))[0]) if problem.key == key]

    assert bucket[:60] in found.seen
    assert "BUCKET of 3 to 63 lowercase letters, digits, . and -" in found.allowed


def _leaf_keys(value: Any, prefix: str = "") -> set[str]:
    if isinstance(value, dict):
        return set().union(*(_leaf_keys(part, f"{prefix}.{key}") for key, part in value.items()))
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return set().union(*(_leaf_keys(part, prefix) for part in value))
    return {prefix.lstrip(".")}


@pytest.mark.parametrize(
    ("evidence", "key", "allowed"),
    [
        ({"run_control": ["s3://b-1/x", "s3://b-1/x"]}, "evidence.run_control", "each place once"),
        ({"run_control": "s3://b-1/x", "run_scoped": "s3://b-1/x/"}, "evidence.run_control", "each place once"),
        ({"run_control": "s3://b-1/x", "regions": {"b-2": "eu-west-1"}}, "evidence.regions.b-2", "b-1"),
        ({"kms_key": "alias/x"}, "evidence.kms_key", "no place on S3"),
    ],
    ids=["twice", "twice over both", "region of no bucket", "key without place"],
)
def test_evidence_settings_that_do_not_fit_are_refused(evidence: dict[str, Any], key: str, allowed: str) -> None:
    problems = _problems(json.dumps(cases.plan_value(evidence=evidence)))

    assert [(problem.key, allowed in problem.allowed) for problem in problems] == [(key, True)]


def test_a_run_has_a_folder_in_every_place_and_a_bounded_rerun_one_of_its_own() -> None:
    places = {"run_control": ["s3://b-1/control", "s3://b-2/control"], "run_scoped": "s3://b-1/runs"}

    first = cases.plan(evidence=places)
    again = cases.plan(evidence=places, rerun=cases.rerun("B1"))

    assert first.folders("m10_one") == (
        "s3://b-1/control/m10_one",
        "s3://b-2/control/m10_one",
        f"s3://b-1/runs/{cases.SCOPE}/m10",
    )
    assert again.folders("m10_two")[2] == f"s3://b-1/runs/{cases.SCOPE}/m10/m10_two"
    assert plans.parse(json.dumps(first.document()), source="p").folders("m10_one") == first.folders("m10_one")


UNFIT_OBSERVE = [
    ("    - name: observed_lag", "    - name: rows_held", "observe.series[2].name", "distinct names"),
    (OBSERVED_SQL_LINE, "", "observe.series[0].sql", "exactly one of sql, document, command, cloudwatch, prometheus"),
    ("      path: /lag/now", "", "observe.series[0].path", "where the value stands in the answer of sql"),
    ("          aggregate: max", "", "observe.series[0].rules[0].aggregate", "exactly one of aggregate, monotonic"),
    ("          at_most: 12", "", "observe.series[0].rules[0].at_most", "exactly one of equals, at_most"),
    (OBSERVED_DOCUMENT_LINE, OBSERVED_DOCUMENT_LINE.replace("{scope}", "x"), "observe.series[1].scope", "any scope"),
    ("      at: /written_utc", "", "observe.series[1].at", "may be of any time"),
    (SERVICE_LINE, f"{SERVICE_LINE}\n      path: /a", "observe.series[5].path", "service is a number of tasks"),
]


@pytest.mark.parametrize(
    ("line", "by", "key", "allowed"), UNFIT_OBSERVE, ids=[f"{bad[2]}: {bad[3]}" for bad in UNFIT_OBSERVE]
)
def test_parts_of_a_series_that_do_not_fit_are_refused(line: str, by: str, key: str, allowed: str) -> None:
    text, _ = _replaced(line, by)

    (problem,) = [problem for problem in _problems(text) if problem.key == key]

    assert allowed in problem.allowed


def test_a_series_is_asked_at_least_once_in_the_window_and_not_without_end() -> None:
    for every, cap, allowed in (("16m", "20m", "budget.min_window, which is 15m"), ("1s", "90h", "20000 samples")):
        budget = {"max": "100h", "operator_cap": cap, "min_window": "15m"}
        observe = {**cases.observe(), "every": every}
        receipts = {"dsn": "env:BURST_TEST_DSN", "bucket": "1h"}
        value = cases.plan_value(observe=observe, budget=budget, receipts=receipts)

        (problem,) = _problems(json.dumps(value))

        assert problem.key == "observe.every"
        assert allowed in problem.allowed


def test_every_key_of_the_plan_has_its_bad_value() -> None:
    tried = {re.sub(r"\[\d+\]", "", key) for *_, key, _ in (*BAD, *BAD_ENTRIES)}
    chosen_by_operators = re.compile(r"\.(STREAM_SPEEDUP|PLATFORM_RUN_ID)$|(?<=body)\.\w+$")
    whole = {chosen_by_operators.sub("", key) for key in _leaf_keys(yaml.safe_load(TEXT))}

    assert whole - tried == set()


def test_a_direct_count_has_a_dsn_and_no_task() -> None:
    with_task = _problems(TEXT.replace("  via: task", "  via: direct"))
    without_dsn = _problems(_without("receipts.dsn", "receipts.via", "receipts.task"))

    assert [(problem.key, problem.allowed) for problem in with_task] == [
        ("receipts.task", "nothing: via: direct has no task; say via: task")
    ]
    assert [problem.key for problem in without_dsn] == ["receipts.dsn"]


def test_a_count_in_the_vpc_needs_no_dsn_and_is_given_the_time_a_task_takes_to_start() -> None:
    read = plans.parse(_without("receipts.dsn", "receipts.task"), source="p")

    assert read.receipts.dsn is None
    assert read.receipts.patience_seconds == 240.0
    assert (read.counter, read.receipts.counting_task.container) == ("burst-dev-counter", "counter")
    assert plans.parse(TEXT, source="p").counter == "burst-dev-counter:3"


@pytest.mark.parametrize(("planned", "most"), [(1, 1), (8, 1), (99, 1), (100, 2), (1000, 20)])
def test_a_fiftieth_of_the_tasks_and_at_least_one_is_replaced_unless_the_plan_says(planned: int, most: int) -> None:
    target = {"kind": "local", "tasks": planned}

    assert cases.plan(target=target).target.most_replacements == most
    assert cases.plan(target={**target, "replacements": 0}).target.most_replacements == 0


def test_the_whole_plan_names_every_key_a_plan_can_have() -> None:
    known = _leaf_keys(plans.parse(TEXT, source="p").model_dump(by_alias=True))

    said = _leaf_keys(yaml.safe_load(TEXT))
    other_forms = {
        *("load.command", "baseline.admits", "baseline.seconds", "baseline.source", "during.restart"),
        "reproduces.keyset.sql",
        *("load.playback", "load.continues"),  # of another locustfile
        *("observe.series.cloudwatch", "observe.series.prometheus"),  # None in the other series
    }
    other_modes = {
        f"gates.modes.{gate}.{key}"
        for gate, keys in (
            ("latency_p95_ms", ("promoted_by", "demoted_by")),
            ("latency_p99_ms", ("block", "demoted_by")),
            ("error_ratio", ("block", "promoted_by")),
        )
        for key in keys
    }
    assert known - said == other_forms | other_modes


@pytest.mark.parametrize(
    "key",
    [
        "schema", "phase", "scope", "environment", "target", "target.kind", "target.tasks", "target.cluster",
        "target.task_definition", "target.subnets", "load", "load.host", "load.rate", "budget", "budget.max",
         "budget.min_window", "receipts", "baseline", "baseline.file", "gates",
        "gates.admit_ratio", "rerun.only",
    ],
)  # fmt: skip
def test_a_required_key_that_is_left_out_is_named(key: str) -> None:
    assert key in {problem.key for problem in _problems(_without(key))}


@pytest.mark.parametrize(
    ("line", "by", "key", "hint"),
    [
        ("phase: M10.F", "phase: M10.F\nphaze: M10.F", "phaze", "did you mean phase?"),
        ("  tasks: 8", "  tasks: 8\n  task: 8", "target.task", "did you mean tasks?"),
        ("  bucket: 60s", "  bucket: 60s\n  buckets: 60s", "receipts.buckets", "did you mean bucket?"),
        ("    equals: 0", "    equals: 0\n    equal: 0", "facts[0].equal", "did you mean equals?"),
        ("  api_key: env:IG_API_KEY", f"  apikey: {SECRET}", "load.apikey", "did you mean api_key?"),
    ],
)
def test_an_unknown_key_is_an_error_with_a_hint(line: str, by: str, key: str, hint: str) -> None:
    text, number = _replaced(line, by)

    (problem,) = (problem for problem in _problems(text) if problem.key == key)

    assert problem.line == number + by.count("\n")
    assert hint in problem.allowed
    assert SECRET not in problem.text("plan.yaml")


@pytest.mark.parametrize(
    "value",
    ["REPLACE_ME", "x-REPLACE_ME-y", "TBD", "TO_PIN", "<scope>", '""', '"  "', "", "~", "null"],
    ids=repr,
)
@pytest.mark.parametrize(
    ("line", "key"),
    [
        ("scope: platform_20260219T234150Z", "scope"),
        ("  cluster: burst-dev", "target.cluster"),
        ("  api_key: env:IG_API_KEY", "load.api_key"),
        ("  operator_cap: 20m", "budget.operator_cap"),
        ("    name: publish_ambiguous", "facts[0].name"),
    ],
)
def test_a_placeholder_or_nothing_is_refused_for_any_key(value: str, line: str, key: str) -> None:
    text, number = _replaced(line, f"{line.partition(':')[0]}: {value}")

    (problem,) = (problem for problem in _problems(text) if problem.key == key)

    assert problem.line == number
    assert problem.allowed == "the real value"


def test_a_comparison_in_sql_is_no_placeholder_but_a_marker_is() -> None:
    comparing, _ = _replaced(SQL_LINE, "    sql: \"select 1 where state <> 'A' and 1 < 2 and 3 > 2\"")
    marked, _ = _replaced(SQL_LINE, '    sql: "select REPLACE_ME"')

    assert plans.parse(comparing, source="plan.yaml").facts[0].sql is not None
    assert [problem.key for problem in _problems(marked)] == ["facts[0].sql"]


@pytest.mark.parametrize(
    ("text", "line", "seen"),
    [
        pytest.param("", 1, "nothing", id="nothing"),
        pytest.param("- a\n- b\n", 1, "a list", id="a list"),
        pytest.param("just words", 1, "a str", id="words"),
        pytest.param("a: [1,\nb: 2\n", 3, "expected ',' or ']'", id="an open bracket"),
        pytest.param("a: 1\n\tb: 2\n", 2, "found character", id="a tab"),
        pytest.param("a: 1\n---\nb: 2\n", 2, "but found another document", id="two documents"),
        pytest.param("a: 1\na: 2\n", 2, "the key a second time", id="a key twice"),
        pytest.param(f"a: &{SECRET} 1\n", 1, "an anchor or alias", id="an anchor"),
        pytest.param(f"a: 1\nb: *{SECRET}\n", 2, "an anchor or alias", id="an alias"),
        pytest.param(f"api_key: !{SECRET}\n", 1, "a tag", id="a tag of no one's"),
        pytest.param("a: !!python/object:os.system {}\n", 1, "a tag", id="a tag of Python's"),
        pytest.param("a: !!timestamp x\n", 1, "a tag", id="a tag that does not fit"),
        pytest.param("a: \x00", 1, "text that is not YAML", id="a control character"),
        pytest.param(f"a: {'9' * 5000}\n", 1, "a number without end", id="a number without end"),
        pytest.param("a: " + "[" * 5000, 1, "nesting without end", id="nesting without end"),
        pytest.param("a: " + "x" * (1 << 20), 1, "over 1 MiB", id="too long"),
    ],
)
def test_what_is_no_plan_at_all_is_refused_where_it_goes_wrong(text: str, line: int, seen: str) -> None:
    first = _problems(text)[0]

    assert first.line == line
    assert seen in first.seen
    assert SECRET not in first.text("plan.yaml")


@hypothesis.given(text=st.text(max_size=60) | st.text("ab:-[]{},&*!|>'\"#%@`?\n \t0189.eE~<_", max_size=60))
def test_any_text_is_a_plan_or_a_plan_error(text: str) -> None:
    with pytest.raises(plans.PlanError):
        plans.parse(text, source="plan.yaml")


@hypothesis.given(data=st.data())
def test_any_damage_to_a_plan_is_a_plan_or_a_plan_error(data: st.DataObject) -> None:
    at = data.draw(st.integers(0, len(TEXT) - 1))
    length = data.draw(st.integers(0, 8))
    damaged = TEXT[:at] + data.draw(st.text("ab:-[]{},&*!'\"#\n 019.e~\x00\ud800", max_size=4)) + TEXT[at + length :]

    try:
        read = plans.parse(damaged, source="plan.yaml")
    except plans.PlanError:
        return

    assert canonical.encode(read.document())


def test_every_mistake_is_told_at_once_in_the_order_of_lines() -> None:
    text = TEXT.replace("  tasks: 8", "  tasks: 0").replace("max: 90m", "max: 90").replace("kind: ecs", "kind: x")

    problems = _problems(text)

    assert [problem.key for problem in problems] == ["target.kind", "target.tasks", "budget.max"]


def test_the_message_says_file_line_key_seen_and_allowed() -> None:
    text, number = _replaced("  kind: ecs", "  kind: kubernetes")

    with pytest.raises(plans.PlanError) as refusal:
        plans.parse(text, source="burst.yaml")

    assert str(refusal.value) == (
        f"the plan has 1 problem:\n  burst.yaml:{number}: target.kind: saw 'kubernetes'; allowed: 'local' or 'ecs'"
    )


# Keys that do not fit together


ORDINARY: dict[str, Any] = {"locustfile": "b.py", "host": "http://h"}
OWN: dict[str, Any] = {"locustfile": load_sections.OWN_PROFILE, "host": "http://h", "rate": 600}


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        pytest.param({"target": {"kind": "local", "tasks": 2, "cluster": "c"}}, "target.cluster", id="local cluster"),
        pytest.param({"target": {"kind": "local", "tasks": 2, "capacity": ["F"]}}, "target.capacity", id="capacity"),
        pytest.param({"load": {}}, "load.locustfile", id="no program"),
        pytest.param({"load": {"command": []}}, "load.command", id="an empty command"),
        pytest.param({"load": {"command": ["a"], "locustfile": "b.py"}}, "load.locustfile", id="two programs"),
        pytest.param({"load": {"locustfile": "b.py", "rate": 5}}, "load.host", id="no host"),
        pytest.param({"load": OWN | {"rate": None}}, "load.rate", id="no rate"),
        pytest.param({"load": OWN | {"profile": "waves"}}, "load.profile", id="a profile that is not burst's"),
        pytest.param({"load": {"command": ["a"], "users": 5}}, "load.users", id="users of a command"),
        pytest.param({"load": {"command": ["a"], "arguments": ["b"]}}, "load.arguments", id="arguments of a command"),
        pytest.param({"load": {"command": ["a"], "tags": ["b"]}}, "load.tags", id="tags of a command"),
        pytest.param({"load": {"command": ["a"], "user_classes": ["B"]}}, "load.user_classes", id="users of a command"),
        *(
            pytest.param({"load": ORDINARY | {"arguments": ["--own", word]}}, "load.arguments[1]", id=word)
            for word in ("--run-time", "--run-t", "-t3s", "--host=http://x", "-u", "--master", "--config", "--list")
        ),
        pytest.param({"baseline": None}, "baseline", id="a multiplier of nothing"),
        pytest.param({"baseline": {}}, "baseline.file", id="an empty baseline"),
        pytest.param({"baseline": {"admits": 5, "seconds": 5}}, "baseline.file", id="inline without source"),
        pytest.param({"baseline": {"file": "b", "admits": 5}}, "baseline.file", id="file and inline"),
        pytest.param(
            {"baseline": {"admits": 5, "seconds": 5, "source": "s", "sha256": "a" * 64}},
            "baseline.sha256",
            id="a digest of nothing",
        ),
        pytest.param(
            {"baseline": {"admits": 5, "seconds": 5, "source": "s", "max_age": "1h"}},
            "baseline.max_age",
            id="an age of nothing",
        ),
        pytest.param({"baseline": {"admits": 5, "seconds": 0, "source": "s"}}, "baseline.seconds", id="no seconds"),
        pytest.param({"baseline": {"admits": 0, "seconds": 5, "source": "s"}}, "baseline.admits", id="no admits"),
        pytest.param(
            {"gates": {"admit_ratio": 1}, "load": {"locustfile": "b", "host": "http://h", "rate": "auto"}},
            "load.rate",
            id="auto of nothing",
        ),
    ],
)
def test_keys_that_do_not_fit_together_are_pointed_at(changes: dict[str, Any], key: str) -> None:
    (problem,) = _problems(json.dumps(cases.plan_value(**changes)))

    assert problem.key == key


@pytest.mark.parametrize("word", ["--own", "--processes", "2", "--stop-timeout=9", "ShopUser", "--hosts", "--users-of"])
def test_a_locustfile_gets_arguments_that_burst_does_not_give_itself(word: str) -> None:
    assert cases.plan(load=ORDINARY | {"arguments": [word]}).load.arguments == [word]


@pytest.mark.parametrize(
    ("load", "waits"),
    [
        pytest.param(OWN, True, id="burst's own profile"),
        pytest.param(OWN | {"locustfile": "/srv/burst/locustfiles/ingest.py"}, True, id="by its whole path"),
        pytest.param(ORDINARY, False, id="an ordinary locustfile"),
        pytest.param(ORDINARY | {"waits_for_go": True}, True, id="a locustfile that declares it"),
        pytest.param({"command": ["a"]}, False, id="a command"),
        pytest.param({"command": ["a"], "waits_for_go": True}, True, id="a command that declares it"),
    ],
)
def test_the_guard_starts_whatever_does_not_declare_that_it_waits_at_go(load: dict[str, Any], waits: bool) -> None:
    assert cases.plan(load=load).load.holds_barrier is waits


FACT: dict[str, Any] = {"blocker": "M10F-B2", "name": "a", "sql": "select 0", "equals": 0}


@pytest.mark.parametrize(
    ("facts", "key"),
    [
        pytest.param([{**FACT, "document": "d", "path": "/p"}], "facts[0].sql", id="two sources"),
        pytest.param([{"blocker": "M10F-B2", "name": "a", "equals": 0}], "facts[0].sql", id="no source"),
        pytest.param([{**FACT, "path": "/p"}], "facts[0].path", id="a path into sql"),
        pytest.param([{**FACT, "at_most": 0}], "facts[0].equals", id="two expectations"),
        pytest.param([{"blocker": "M10F-B2", "name": "a", "sql": "b"}], "facts[0].equals", id="no expectation"),
        pytest.param([FACT, {**FACT, "equals": 1}], "facts[1].name", id="one name twice"),
    ],
)
def test_a_fact_is_one_question_with_one_answer(facts: list[Any], key: str) -> None:
    (problem,) = _problems(json.dumps(cases.plan_value(facts=facts)))

    assert problem.key == key


# Secrets


@pytest.mark.parametrize("reference", ["env:NAME", "env:_N4", "file:/run/a", "ssm:/a/b", "secretsmanager:arn:aws:x"])
def test_a_reference_is_taken_for_a_secret(reference: str) -> None:
    read = cases.plan(receipts={"dsn": reference})

    assert read.receipts.dsn == reference


@pytest.mark.parametrize(
    "spoiled",
    [
        {"receipts": SECRET},
        {"receipts": [SECRET]},
        {"receipts": {"dsn": SECRET}},
        {"receipts": {"dsn": [SECRET]}},
        {"receipts": {"dsn": {"value": SECRET}}},
        {"receipts": {"dsn": f"env:{SECRET}"}},
        {"receipts": {"dsn": "env:A", "password": SECRET}},
        {"load": {"command": ["a"], "api_key": SECRET}},
        {"load": {"command": ["a"], "environment": f"KEY={SECRET}"}},
        {"load": {"command": ["a"], "environment": [f"KEY={SECRET}"]}},
        {"load": {"command": ["a"], "environment": {"KEY": {"value": SECRET}}}},
        {"load": {"command": f"a --password {SECRET}"}},
        {"load": {"command": ["a"], "host": f"http://user:{SECRET}@h"}},
        {"load": {"command": ["a"], "host": f"http://user:a/{SECRET}@h"}},
        {"load": {"command": ["a"], "host": f"http://h?key={SECRET}"}},
        {"evidence": {"run_control": f"https://user:{SECRET}@bucket"}},
        {"baseline": {"file": f"https://user:{SECRET}@host/b.json"}},
    ],
    ids=str,
)
def test_no_message_shows_a_secret(spoiled: dict[str, Any]) -> None:
    with pytest.raises(plans.PlanError) as refusal:
        cases.plan(**spoiled)

    assert SECRET not in str(refusal.value)
    assert SECRET not in repr(refusal.value)


# --set


def test_overrides_are_read_as_yaml_and_checked_as_the_plan_is() -> None:
    read = plans.parse(
        TEXT, source="plan.yaml", overrides=("budget.operator_cap=18m", "target.tasks=9", "receipts.dsn=file:/run/dsn")
    )

    assert (read.budget.cap_seconds, read.target.tasks, read.receipts.dsn) == (1080.0, 9, "file:/run/dsn")


def test_an_override_can_make_a_section() -> None:
    without = json.dumps(cases.plan_value())

    assert plans.parse(without, source="p", overrides=("evidence.local=elsewhere",)).evidence.local == "elsewhere"


@pytest.mark.parametrize(
    "override",
    [
        "budget.operator_cap", "=18m", "budget..max=1m", ".budget=1", "phase.x=1", "facts.0.equals=1", "budget.max=18",
        "budget.mox=18m", "budget.max=", "budget.max=REPLACE_ME", "budget.max=[", "budget.max=&a [*a]", "scope=!!int x",
        f"budget.max={'9' * 5000}", f"budget.max={'[' * 5000}", f"receipts.dsn={SECRET}", f"load.api_key={SECRET}",
        f"load.environment={SECRET}", f"load.environment.KEY=[{SECRET}]", f"receipts.dsn.x={SECRET}",
    ],
    ids=lambda text: text[:40],
)  # fmt: skip
def test_a_bad_override_is_a_usage_error_that_shows_no_secret(override: str) -> None:
    with pytest.raises(errors.UsageError) as refusal:
        plans.parse(TEXT, source="plan.yaml", overrides=(override,))

    assert refusal.value.exit_code == 2
    assert SECRET not in str(refusal.value)


# The plan as executed


def test_the_plan_as_executed_is_the_same_plan() -> None:
    read = plans.parse(TEXT, source="plan.yaml")

    again = plans.parse(canonical.encode(read.document()).decode(), source="plan.json")

    assert again == read
    assert canonical.encode(again.document()) == canonical.encode(read.document())


NUMBERS = st.integers(-(2**53 - 1), 2**53 - 1) | st.floats(allow_nan=False, allow_infinity=False)


@pytest.mark.parametrize("character", ["\ue000", "\x9f", "\uffff", "\U0001f600"])
def test_every_character_of_a_plan_survives_the_way_through_the_plan_as_executed(character: str) -> None:
    fact = {"blocker": "M10F-B2", "name": "a", "sql": "b", "equals": f"a{character}b"}
    read = plans.parse(json.dumps(cases.plan_value(facts=[fact]), indent=1), source="plan.json")

    again = plans.read(canonical.encode(read.document()), source="plan.json")

    assert again == read
    assert again.facts[0].equals == f"a{character}b"


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=20,
)


@hypothesis.given(value=st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=4))
def test_canonical_json_is_read_as_the_value_it_was_written_from(value: dict[str, Any]) -> None:
    text = canonical.encode(value).decode()

    source = yaml_lines.Source(text, "plan.json", "burst.plan/v1")

    assert (source.value, source.problems) == (value, [])
    assert set(source.lines.values()) == {1}


def test_json_in_which_a_key_stands_twice_is_refused_on_one_line_too() -> None:
    source = yaml_lines.Source('{"a":1,"a":1}', "plan.json", "burst.plan/v1")

    assert [(problem.key, problem.seen) for problem in source.problems] == [("a", "the key a second time")]


@hypothesis.given(
    ratio=st.floats(0, 1, exclude_min=True),
    headroom=st.floats(1, 10),
    wanted=NUMBERS | st.booleans() | st.text("01eE+-.:_abcxyn~", min_size=1, max_size=6).filter(str.strip),
    limit=NUMBERS,
    microseconds=st.integers(1, 10**12),
)
def test_every_number_survives_the_way_through_the_plan_as_executed(
    ratio: float, headroom: float, wanted: bool | int | float | str, limit: float, microseconds: int
) -> None:
    value = cases.plan_value(
        gates={"multiplier": 3.0, "admit_ratio": ratio},
        load={"command": ["a"], "headroom": headroom},
        receipts={"dsn": "env:A", "settle": f"{microseconds // 10**6}.{microseconds % 10**6:06d}s"},
        facts=[
            {"blocker": "M10F-B2", "name": "a", "sql": "b", "equals": wanted},
            {"blocker": "M10F-B7", "name": "a", "sql": "b", "at_most": limit},
        ],
    )
    read = plans.Plan.model_validate(value)

    again = plans.parse(canonical.encode(read.document()).decode(), source="plan.json")

    assert again == read
    assert type(again.facts[0].equals) is type(wanted) or isinstance(wanted, float)
    assert again.receipts.settle == microseconds / 10**6


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("0", 0), ("-3", -3), ("1e-7", 1e-7), ("1E+3", 1000.0), (".5", 0.5), ("3.", 3.0), ("010", "010"),
        ("1_000", "1_000"), ("0x1F", "0x1F"), ("1:30", "1:30"), (".inf", ".inf"), ("2026-02-21", "2026-02-21"),
        ("true", True), ("'0'", "0"),
    ],
)  # fmt: skip
def test_a_number_is_one_where_json_has_it_and_text_elsewhere(written: str, read: object) -> None:
    text, _ = _replaced("    equals: 0", f"    equals: {written}")

    value = plans.parse(text, source="plan.yaml").facts[0].equals

    assert value == read
    assert type(value) is type(read)


@pytest.mark.parametrize("name", ["on", "NO", "yes", "null"])
def test_a_key_is_the_text_that_was_written(name: str) -> None:
    """YAML reads a bare `on` as true; a program asks its environment for `on`."""
    text, _ = _replaced('  environment: {STREAM_SPEEDUP: "120"}', f'  environment: {{{name}: "1"}}')

    assert plans.parse(text, source="plan.yaml").load.environment == {name: "1"}


def test_a_character_json_writes_as_a_pair_is_read_as_one() -> None:
    value = cases.plan_value(rerun=cases.rerun("B1", non_goals=["\U0001f680 no scaling"]))

    read = plans.parse(json.dumps(value), source="plan.json")

    assert read == plans.parse(json.dumps(value, ensure_ascii=False), source="plan.json")
    assert read.rerun is not None
    assert read.rerun.non_goals == ["\U0001f680 no scaling"]


def test_half_a_character_is_refused_where_it_stands() -> None:
    (problem,) = _problems(json.dumps(cases.plan_value(rerun=cases.rerun("B1", non_goals=["\ud83d"]))))

    assert (problem.key, problem.seen) == ("rerun.non_goals[0]", "half a character")


@pytest.mark.parametrize(
    ("phase", "slug", "group", "blocker"),
    [
        ("M10.F", "m10_f", "m10", "M10F-B1"),
        ("M10", "m10", "m10", "M10-B1"),
        ("A1.B2.C3", "a1_b2_c3", "a1", "A1B2C3-B1"),
    ],
)
def test_the_phase_names_documents_places_and_blockers(phase: str, slug: str, group: str, blocker: str) -> None:
    read = cases.plan(phase=phase, facts=None)

    assert (read.slug, read.group, read.blocker("B1")) == (slug, group, blocker)


@pytest.mark.parametrize("name", ["IG_API_KEY", "SESSION_TOKEN", "db_password", "ADMISSION_DSN"])
def test_a_secret_in_the_environment_must_be_a_reference_and_is_not_shown(name: str) -> None:
    text = cases_text(name, "hunter2-is-no-reference")

    with pytest.raises(plans.PlanError) as refused:
        plans.parse(text, source="plan.yaml")

    assert f"load.environment.{name}" in str(refused.value)
    assert "hunter2" not in str(refused.value)
    assert plans.parse(cases_text(name, "env:SOMEWHERE"), source="plan.yaml").load.environment == {
        name: "env:SOMEWHERE"
    }


@pytest.mark.parametrize("odd", ["\u2028", "\x7f", "\x85"], ids=ascii)
def test_a_text_that_yaml_would_not_read_back_is_refused(odd: str) -> None:
    value = cases.plan_value()
    value["facts"][0]["sql"] = f"select {odd} 0"

    with pytest.raises(plans.PlanError):
        plans.parse(json.dumps(value), source="plan.json")


def cases_text(name: str, value: str) -> str:
    given = cases.plan_value()
    given["load"]["environment"] = {name: value}
    return json.dumps(given)


STEPS: tuple[cases.Value, ...] = (
    {"for": "60s", "rate": "1500/s", "name": "presteady", "count": False},
    {"for": "90s", "rate": "3000/s", "name": "steady"},
    {"for": "30s", "rate": "3000/s", "to": "6000/s", "shape": "spike", "name": "burst"},
)


def _stepped(steps: Any = STEPS, *, rates: Any = None, **gates: Any) -> cases.Value:
    return cases.plan_value(
        load={"command": ["push-events"], "rate": rates if rates is not None else list(steps)},
        budget={"max": "20m", "min_window": "100s"},
        receipts={"dsn": "env:BURST_TEST_DSN", "bucket": "30s"},
        gates={"multiplier": 3.0, "admit_ratio": 0.995, **gates},
    )


def test_a_rate_keeps_the_unit_that_it_was_written_with() -> None:
    read = plans.parse(json.dumps(_stepped(rates="1500/s")), source="p")

    assert read.load.rate == 90_000.0
    assert read.document()["load"]["rate"] == "1500/s"
    assert plans.parse(json.dumps(read.document()), source="p") == read


def test_the_counted_window_is_that_of_the_steps_that_count() -> None:
    read = plans.parse(json.dumps(_stepped(**{"multiplier@burst": 6.0, "latency_p95_ms@steady": 350})), source="p")

    assert (read.lead_seconds, read.budget.window_seconds, read.load_seconds) == (60.0, 120.0, 180.0)
    assert read.planned_events == 60 * 1500 + 90 * 3000 + 30 * 4500
    assert read.highest_rate == 6000 * 60
    assert read.gates.step_limits == (("latency_p95_ms", "steady", 350.0), ("multiplier", "burst", 6.0))
    assert plans.parse(json.dumps(read.document()), source="p") == read


@pytest.mark.parametrize(
    ("steps", "gates", "key", "allowed"),
    [
        ([{"for": 60, "rate": "1500/s"}], {}, "load.rate[0].for", "a duration"),
        ([{"for": "60s", "rate": "fast"}], {}, "load.rate[0].rate", "1500/s or 1500/min"),
        ([{"for": "60s", "rate": 60, "shape": "sine"}], {}, "load.rate[0].to", "shape sine goes there"),
        ([{"for": "60s", "rate": 60, "to": 90, "shape": "step"}], {}, "load.rate[0].to", "write two steps"),
        ([{"for": "60s", "rate": 60, "shape": "square"}], {}, "load.rate[0].shape", "'spike'"),
        ([{"for": "60s", "rate": 60, "name": "A b"}], {}, "load.rate[0].name", "1 to 20 small letters"),
        ([{"for": "60s", "rate": 60, "speed": 2}], {}, "load.rate[0].speed", "one of count, for, name, rate"),
        ([{"for": "60s", "rate": 60, "name": "a"}] * 2, {}, "load.rate[1].name", "'a' stands twice"),
        ([{"for": "60s", "rate": 60, "count": False}] * 2, {}, "load.rate[0].count", "nothing would be counted"),
        (
            [{"for": "60s", "rate": 60}, {"for": "60s", "rate": 60, "count": False}, {"for": "60s", "rate": 60}],
            {},
            "load.rate[1].count",
            "one, without gaps",
        ),
        ([{"for": "30m", "rate": 60}], {}, "budget.window", "a window that ends before the cap"),
        (STEPS, {"latency_p95_ms@calm": 1}, "gates.latency_p95_ms@calm", "a counted step of load.rate: steady, burst"),
        (STEPS, {"latency_p95_ms@presteady": 1}, "gates.latency_p95_ms@presteady", "steady, burst"),
        (STEPS, {"latenzy_p95_ms@burst": 1}, "gates.latenzy_p95_ms@burst", "did you mean latency_p95_ms?"),
        (STEPS, {"error_ratio@burst": 2}, "gates.error_ratio@burst", "less than or equal to 1"),
        (STEPS, {"latency_p95_ms@burst": 0}, "gates.latency_p95_ms@burst", "greater than 0"),
        (STEPS, {"admit_ratio@burst": 0}, "gates.admit_ratio@burst", "greater than 0"),
        ([], {}, "load.rate", "at least 1 item"),
        ([{"for": "1s", "rate": 60}] * 51, {}, "load.rate", "at most 50 items"),
        (
            [{"for": "100s", "rate": 60, "name": "a"}, {"for": "20s", "rate": 60, "name": "b"}],
            {"multiplier@b": 2},
            "gates.multiplier@b",
            "a step of whole buckets (receipts.bucket, 30s): b has an edge 100 s into the counted window",
        ),
    ],
)
def test_a_wrong_step_is_named_by_its_place(steps: Any, gates: dict[str, Any], key: str, allowed: str) -> None:
    problems = {problem.key: problem for problem in _problems(json.dumps(_stepped(steps, **gates), indent=1))}

    assert allowed in problems[key].allowed
    assert problems[key].line > 1


def test_a_window_that_steps_make_and_that_does_not_fit_names_them() -> None:
    problems = {problem.key: problem for problem in _problems(json.dumps(_stepped([{"for": "30m", "rate": 60}])))}

    assert problems["budget.window"].seen == "30m, which the counted steps of load.rate last"


@pytest.mark.parametrize(
    ("load", "key"),
    [
        (
            {"events": {"templates": [{"name": "a", "bytes": {"least": 300, "p50": 200, "most": 900}}]}},
            "load.events.templates[0].bytes.most",
        ),
        ({"canary": {"body": {"id": "x"}}}, "load.canary.body"),
        ({"events": {"templates": [{"name": "a", "bytes": 100}]}}, "load.events.templates[0].bytes"),
        (
            {"events": {"templates": [{"name": "a", "bytes": {"least": 100, "most": 900}}]}},
            "load.events.templates[0].bytes.least",
        ),
    ],
)
def test_a_mistake_in_a_section_that_may_be_a_single_value_is_one_problem(load: Any, key: str) -> None:
    value = _stepped()
    value["load"] |= load

    assert [problem.key for problem in _problems(json.dumps(value))] == [key]


def test_a_window_that_the_steps_do_not_fill_is_refused() -> None:
    value = _stepped()
    value["budget"]["window"] = "110s"
    (problem,) = _problems(json.dumps(value))

    assert (problem.key, problem.allowed[:5]) == ("budget.window", "2m, w")


NO_SUCH_GAP: list[tuple[cases.Value, str, str]] = [
    ({"gates": {"admit_ratio": 0.9, "contiguity": {"max_gap": "15m"}}}, "gates.contiguity.max_gap", "less than budget"),
    (
        {"gates": {"admit_ratio": 0.9, "contiguity": {}}, "receipts": {"dsn": "env:A", "bucket": "451s"}},
        *("receipts.bucket", "at most half of budget.min_window, which is 15m"),
    ),
    (
        {"observe": cases.observe({"blocker": "M10F-B7", "aggregate": "max", "at_most": 1, "over": "after recovery"})},
        *("observe.series[0].rules[0].over", "after needs a drill, and during has none"),
    ),
]


@pytest.mark.parametrize(("sections", "key", "allowed"), NO_SUCH_GAP, ids=[bad[1] for bad in NO_SUCH_GAP])
def test_what_no_window_could_break_or_show_is_refused(sections: cases.Value, key: str, allowed: str) -> None:
    (problem,) = _problems(json.dumps(cases.plan_value(**sections)))

    assert problem.key == key
    assert allowed in problem.allowed
