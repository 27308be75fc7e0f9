# The roles: who may be them, and what they may do. Every statement has its sid and its reason; `tests/infra` compares
# them with the calls that rehearsed commands make, so that none is missing and none is left over.

locals {
  # Who may be what, and for what.
  roles = {
    # For people and pipelines.
    controller = { trust = local.people["controller"], purpose = "burst run and its like: launches, watches and stops tasks, and publishes" }
    consumer   = { trust = local.people["consumer"], purpose = "reads and verifies burst's evidence" }
    prune      = { trust = local.people["prune"], purpose = "burst evidence prune: deletes superseded evidence" }
    # For the containers of tasks. The last is the platform's own, before a container starts: no container ever has it.
    task      = { trust = local.ecs_tasks, purpose = "burst tasks: reads the lease, claims a shard, leaves its record" }
    counter   = { trust = local.ecs_tasks, purpose = "burst count in the VPC: reads questions beside the lease, and leaves its answers there" }
    reaper    = { trust = local.ecs_tasks, purpose = "burst reap: ends tasks past their deadline" }
    execution = { trust = local.ecs_tasks, purpose = "ECS for burst tasks: pulls the image, fetches secrets, opens log streams" }
    # For EventBridge Scheduler.
    scheduler = { trust = data.aws_iam_policy_document.trust_scheduler.json, purpose = "EventBridge Scheduler: starts burst reap" }
  }

  # What each may do.
  policies = {
    controller = data.aws_iam_policy_document.controller.json
    consumer   = data.aws_iam_policy_document.consumer.json
    prune      = data.aws_iam_policy_document.prune.json
    task       = data.aws_iam_policy_document.task.json
    counter    = data.aws_iam_policy_document.counter.json
    reaper     = data.aws_iam_policy_document.reaper.json
    execution  = data.aws_iam_policy_document.execution.json
    scheduler  = data.aws_iam_policy_document.scheduler.json
  }

  people    = { for role, document in data.aws_iam_policy_document.trust_people : role => document.json }
  ecs_tasks = data.aws_iam_policy_document.trust_tasks.json
  trusted = {
    for role, arns in var.trusted :
    role => length(arns) > 0 ? arns : ["arn:${local.partition}:iam::${local.account}:root"]
  }

  tasks_arn      = "arn:${local.partition}:ecs:${local.region}:${local.account}:task/${aws_ecs_cluster.this.name}/*"
  places         = [for place in [local.run_control, local.run_scoped] : "${aws_s3_bucket.evidence.arn}/${place}/*"]
  places_of_runs = "${aws_s3_bucket.evidence.arn}/${local.run_control}"
  entries_arn    = "arn:${local.partition}:scheduler:${local.region}:${local.account}:schedule/${aws_scheduler_schedule_group.this.name}"
}

# Names by convention, burst-{environment}-{role}: burst looks for the scheduler's under this name.
resource "aws_iam_role" "this" {
  for_each = local.roles

  name                 = "${local.name}-${each.key}"
  description          = each.value.purpose
  assume_role_policy   = each.value.trust
  max_session_duration = each.key == "controller" ? 14400 : 3600 # a session that ends before the deadline is refused
}

resource "aws_iam_role_policy" "this" {
  for_each = local.policies

  name   = "burst"
  role   = aws_iam_role.this[each.key].id
  policy = each.value
}

# Who may be what

data "aws_iam_policy_document" "trust_people" {
  for_each = local.trusted

  # People and pipelines take the role on; by default the account's own IAM policies say who.
  statement {
    sid     = "TakeOn"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "AWS"
      identifiers = each.value
    }
  }
}

data "aws_iam_policy_document" "trust_tasks" {
  # ECS gives the role to tasks, and only to those of this account: another's could otherwise borrow it.
  statement {
    sid     = "EcsTasks"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnLike"
      variable = "aws:SourceArn"
      values   = ["arn:${local.partition}:ecs:${local.region}:${local.account}:*"]
    }
  }
}

data "aws_iam_policy_document" "trust_scheduler" {
  # Scheduler takes the role on for the entries of this group alone.
  statement {
    sid     = "ScheduleGroup"
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["scheduler.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [local.account]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_scheduler_schedule_group.this.arn]
    }
  }
}

# What several of them may do, told once

data "aws_iam_policy_document" "under_evidence_key" {
  for_each = {
    read  = ["kms:Decrypt"]
    write = ["kms:Decrypt", "kms:GenerateDataKey"]
  }

  # Objects of the evidence bucket are under this key: whoever reads or writes them uses it, and only by way of S3.
  statement {
    sid       = "EvidenceKey"
    actions   = each.value
    resources = [aws_kms_key.evidence.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = ["s3.${local.region}.${local.dns_suffix}"]
    }
  }
}

data "aws_iam_policy_document" "secrets_keys" {
  # Secrets may be under keys of the customer's own; only by way of their store.
  dynamic "statement" {
    for_each = length(var.secrets_kms_key_arns) > 0 ? [var.secrets_kms_key_arns] : []

    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = [for store in ["ssm", "secretsmanager"] : "${store}.${local.region}.${local.dns_suffix}"]
      }
    }
  }
}

data "aws_iam_policy_document" "stop" {
  # Tasks are found by the run that started them, or as tasks of the cluster, whoever started them. ListTasks knows no
  # resource but container instances, which Fargate has none of; the condition holds it to the cluster.
  statement {
    sid       = "FindTasks"
    actions   = ["ecs:ListTasks"]
    resources = ["*"]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.this.arn]
    }
  }

  # The truth about tasks, and their end (L3, L4, L5). No condition on their tags: what carries none is stopped too.
  statement {
    sid       = "SeeAndStop"
    actions   = ["ecs:DescribeTasks", "ecs:StopTask"]
    resources = [local.tasks_arn]
  }

  # The target's services are always put back: by the run that scaled or rolled them, and by the reaper where that is
  # dead. A drill restarts one by the same call.
  dynamic "statement" {
    for_each = length(var.service_arns) > 0 ? [var.service_arns] : []

    content {
      sid       = "ScaleTarget"
      actions   = ["ecs:DescribeServices", "ecs:UpdateService"]
      resources = statement.value
    }
  }
}

# controller: what `burst run`, `resume`, `stop`, `reconcile` do

data "aws_iam_policy_document" "controller" {
  source_policy_documents = [
    data.aws_iam_policy_document.stop.json,
    data.aws_iam_policy_document.under_evidence_key["write"].json,
    data.aws_iam_policy_document.secrets_keys.json,
  ]

  # Launching, in this cluster only, and only what is burst's or was named as a one-shot.
  statement {
    sid       = "Launch"
    actions   = ["ecs:RunTask"]
    resources = concat([local.families["task"], local.families["counter"]], [for arn in var.one_shots.task_definition_arns : "${arn}:*"])

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.this.arn]
    }
  }

  # A launch marks its tasks with run and deadline. ECS asks for this right too; it cannot be used after the launch.
  statement {
    sid       = "MarkAtLaunch"
    actions   = ["ecs:TagResource"]
    resources = [local.tasks_arn]

    condition {
      test     = "StringEquals"
      variable = "ecs:CreateAction"
      values   = ["RunTask"]
    }
  }

  # A launched task gets these roles, and nothing but a task may.
  statement {
    sid       = "GiveTasksTheirRoles"
    actions   = ["iam:PassRole"]
    resources = concat([aws_iam_role.this["task"].arn, aws_iam_role.this["counter"].arn, aws_iam_role.this["execution"].arn], var.one_shots.role_arns)

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  # Whether the pinned revision has guard and sidecar. AWS has no resource-level permission for this call.
  statement {
    sid       = "ReadTaskDefinition"
    actions   = ["ecs:DescribeTaskDefinition"]
    resources = ["*"]
  }

  # A service may be rolled for a run: a revision like the one it has, with variables of the run, which gets the same
  # roles. AWS has no resource-level permission for the registration.
  dynamic "statement" {
    for_each = length(var.service_role_arns) > 0 ? [1] : []

    content {
      sid       = "ReviseServices"
      actions   = ["ecs:RegisterTaskDefinition"]
      resources = ["*"]
    }
  }

  # The tasks of such a revision get the roles that it names.
  dynamic "statement" {
    for_each = length(var.service_role_arns) > 0 ? [var.service_role_arns] : []

    content {
      sid       = "GiveServicesTheirRoles"
      actions   = ["iam:PassRole"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["ecs-tasks.amazonaws.com"]
      }
    }
  }

  # Preflight: the cluster is active.
  statement {
    sid       = "SeeCluster"
    actions   = ["ecs:DescribeClusters"]
    resources = [aws_ecs_cluster.this.arn]
  }

  # Preflight: subnets, security groups and log groups of the plan are there, and the subnets have a way out. AWS has no
  # resource-level permission for EC2's, and asks the last without a name.
  statement {
    sid = "SeeSurroundings"
    actions = [
      "ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints",
      "logs:DescribeLogGroups",
    ]
    resources = ["*"]
  }

  # Preflight: how many of the account's Fargate vCPUs are in use. AWS has no resource-level permission for metrics.
  statement {
    sid       = "SeeUsage"
    actions   = ["cloudwatch:GetMetricStatistics"]
    resources = ["*"]
  }

  # Preflight: the account's Fargate vCPUs are enough.
  statement {
    sid       = "SeeQuota"
    actions   = ["servicequotas:GetServiceQuota"]
    resources = ["arn:${local.partition}:servicequotas:${local.region}:${local.account}:fargate/*"]
  }

  # Preflight: the schedule can be armed, its group and its role are there.
  statement {
    sid       = "SeeScheduleGroup"
    actions   = ["scheduler:GetScheduleGroup"]
    resources = [aws_scheduler_schedule_group.this.arn]
  }

  # The same, of the role.
  statement {
    sid       = "SeeScheduleRole"
    actions   = ["iam:GetRole"]
    resources = [aws_iam_role.this["scheduler"].arn]
  }

  # Preflight: the bucket keeps versions.
  statement {
    sid       = "SeeVersioning"
    actions   = ["s3:GetBucketVersioning"]
    resources = [aws_s3_bucket.evidence.arn]
  }

  # Preflight: the ingest's key is no placeholder, and one canary event is sent with it. The DSN is not for this role.
  dynamic "statement" {
    for_each = local.api_key_arn == null ? [] : [local.api_key_arn]

    content {
      sid       = "Canary"
      actions   = [strcontains(statement.value, ":ssm:") ? "ssm:GetParameter" : "secretsmanager:GetSecretValue"]
      resources = [statement.value]
    }
  }

  # Documents are signed with this key, which never leaves KMS.
  dynamic "statement" {
    for_each = var.signing_key_arn == null ? [] : [var.signing_key_arn]

    content {
      sid       = "SignDocuments"
      actions   = ["kms:Sign", "kms:GetPublicKey"]
      resources = [statement.value]
    }
  }

  # L3: the run's own entry, made before the launch and deleted at the end; read where one was there already. The
  # sweeper's is read too, since it is a layer of its own (L4).
  statement {
    sid       = "ArmSchedule"
    actions   = ["scheduler:CreateSchedule", "scheduler:GetSchedule", "scheduler:DeleteSchedule"]
    resources = ["${local.entries_arn}/*"]
  }

  # But no run takes the sweeper away, which ends what a run forgot.
  statement {
    sid       = "SweeperStays"
    effect    = "Deny"
    actions   = ["scheduler:CreateSchedule", "scheduler:DeleteSchedule", "scheduler:UpdateSchedule"]
    resources = [aws_scheduler_schedule.sweeper.arn]
  }

  # The entry runs the reaper as the scheduler's role.
  statement {
    sid       = "GiveScheduleItsRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.this["scheduler"].arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["scheduler.amazonaws.com"]
    }
  }

  # Lease and evidence. Never a delete: what is written stays.
  statement {
    sid       = "WriteLeaseAndEvidence"
    actions   = ["s3:PutObject", "s3:GetObject"]
    resources = local.places
  }

  # But a halt of every run is lifted again (`burst halt --lift`).
  statement {
    sid       = "LiftHalt"
    actions   = ["s3:DeleteObject"]
    resources = [local.halt]
  }

  # The alarms of a plan's `stop_when`. One call asks for several by name, which AWS checks on every alarm.
  statement {
    sid       = "SeeAlarms"
    actions   = ["cloudwatch:DescribeAlarms"]
    resources = ["*"]
  }

  # The metrics of a plan's `observe`: AWS knows no narrower resource for reading them.
  statement {
    sid       = "SeeMetrics"
    actions   = ["cloudwatch:GetMetricData"]
    resources = ["*"]
  }

  # A plan may lock its documents for longer than the bucket does by itself; lifting a lock is another right.
  statement {
    sid       = "LockEvidence"
    actions   = ["s3:PutObjectRetention"]
    resources = local.places
  }

  # Which tasks are ready, which documents are there. Without it S3 answers 403 for an object that is absent, which
  # reads as "unknown"; a condition on the prefix would bring that back, and the bucket is burst's alone.
  statement {
    sid       = "ListEvidence"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.evidence.arn]
  }

  # The answer of a count in the VPC, as its task logged it.
  statement {
    sid       = "ReadAnswers"
    actions   = ["logs:GetLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this["counter"].arn}:log-stream:*"]
  }
}

# task: what runs in a burst task, which is the guard and the load

data "aws_iam_policy_document" "task" {
  source_policy_documents = [data.aws_iam_policy_document.under_evidence_key["write"].json]

  # L2: a task lives as long as it can read its lease; and it reads which task took a shard before it, and where the
  # master is that it joins.
  statement {
    sid       = "ReadLeaseAndClaims"
    actions   = ["s3:GetObject"]
    resources = [for name in ["control.json", "claims/*", "ready/master.json"] : "${local.places_of_runs}/*/${name}"]
  }

  # It takes a shard, says that it is ready, and leaves a record of its start and end, and its load account. It cannot
  # write the lease.
  statement {
    sid       = "ClaimAndRecord"
    actions   = ["s3:PutObject"]
    resources = [for folder in ["claims", "ready", "tasks"] : "${local.places_of_runs}/*/${folder}/*"]
  }
}

# counter: `burst count` inside the VPC

data "aws_iam_policy_document" "counter" {
  source_policy_documents = [data.aws_iam_policy_document.under_evidence_key["write"].json]

  # The questions it reads, and each answer, once; the same bytes travel in the log.
  statement {
    sid       = "ReadQuestionLeaveAnswer"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.places_of_runs}/*/counts/*"]
  }
}

# reaper: `burst reap`, as the run's own schedule entry (L3) and the sweeper (L4) start it

data "aws_iam_policy_document" "reaper" {
  source_policy_documents = [
    data.aws_iam_policy_document.stop.json,
    data.aws_iam_policy_document.under_evidence_key["write"].json,
  ]

  # What services had before a run scaled them, and which faults it caused, which the run noted beside its lease; and that
  # they were put back.
  statement {
    sid       = "ServicesNoted"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.places_of_runs}/services/*", "${local.places_of_runs}/drills/*"]
  }

  # Which runs noted any. It reads only what is there, so it need not be told that something is absent.
  statement {
    sid       = "ListServicesNoted"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.evidence.arn]

    condition {
      test     = "StringEquals"
      variable = "s3:prefix"
      values   = ["${local.run_control}/services/", "${local.run_control}/drills/"]
    }
  }

  # The plan of such a run, whose commands take its faults back.
  statement {
    sid       = "PlanAnnounced"
    actions   = ["s3:GetObject"]
    resources = ["${local.places_of_runs}/*/plan.json", "${local.places_of_runs}/*/run.json"]
  }

  # Those commands are one-shots, of the definitions that plans may run.
  dynamic "statement" {
    for_each = length(var.one_shots.task_definition_arns) > 0 ? [var.one_shots.task_definition_arns] : []

    content {
      sid       = "UndoDrills"
      actions   = ["ecs:RunTask"]
      resources = [for arn in statement.value : "${arn}:*"]

      condition {
        test     = "ArnEquals"
        variable = "ecs:cluster"
        values   = [aws_ecs_cluster.this.arn]
      }
    }
  }

  # Their tasks are marked with run and deadline at the launch, get the roles of their definitions, and are looked at.
  dynamic "statement" {
    for_each = length(var.one_shots.task_definition_arns) > 0 ? [1] : []

    content {
      sid       = "MarkUndo"
      actions   = ["ecs:TagResource"]
      resources = [local.tasks_arn]

      condition {
        test     = "StringEquals"
        variable = "ecs:CreateAction"
        values   = ["RunTask"]
      }
    }
  }

  # AWS has no resource-level permission for this call.
  dynamic "statement" {
    for_each = length(var.one_shots.task_definition_arns) > 0 ? [1] : []

    content {
      sid       = "ReadUndo"
      actions   = ["ecs:DescribeTaskDefinition"]
      resources = ["*"]
    }
  }

  # The tasks of an undo get these roles, and nothing but a task may.
  dynamic "statement" {
    for_each = length(var.one_shots.role_arns) > 0 ? [var.one_shots.role_arns] : []

    content {
      sid       = "GiveUndoItsRoles"
      actions   = ["iam:PassRole"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["ecs-tasks.amazonaws.com"]
      }
    }
  }
}

# scheduler: what EventBridge Scheduler starts the reaper as

data "aws_iam_policy_document" "scheduler" {
  # The reaper and nothing else, in this cluster. An entry names the family, so that it runs the newest revision.
  statement {
    sid       = "RunReaper"
    actions   = ["ecs:RunTask"]
    resources = [local.families["reaper"], trimsuffix(local.families["reaper"], ":*")]

    condition {
      test     = "ArnEquals"
      variable = "ecs:cluster"
      values   = [aws_ecs_cluster.this.arn]
    }
  }

  # The reaper's task gets these roles.
  statement {
    sid       = "GiveReaperItsRoles"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.this["reaper"].arn, aws_iam_role.this["execution"].arn]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  # What could not be started after all retries is kept, and raises an alarm.
  statement {
    sid       = "KeepFailures"
    actions   = ["sqs:SendMessage"]
    resources = [aws_sqs_queue.dead_letters.arn]
  }
}

# consumer: whoever reads verdicts, such as a pipeline that waits for a PASS

data "aws_iam_policy_document" "consumer" {
  source_policy_documents = [data.aws_iam_policy_document.under_evidence_key["read"].json]

  # The documents of both places, so that they can be compared.
  statement {
    sid       = "ReadEvidence"
    actions   = ["s3:GetObject"]
    resources = local.places
  }

  # Which documents and which attempts there are; and 404 rather than 403 for one that is absent.
  statement {
    sid       = "ListEvidence"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.evidence.arn]
  }

  # The public half of the key that documents are signed with.
  dynamic "statement" {
    for_each = var.signing_key_arn == null ? [] : [var.signing_key_arn]

    content {
      sid       = "VerifySignatures"
      actions   = ["kms:GetPublicKey"]
      resources = [statement.value]
    }
  }
}

# prune: `burst evidence prune`, the only one that deletes

data "aws_iam_policy_document" "prune" {
  source_policy_documents = [data.aws_iam_policy_document.under_evidence_key["write"].json]

  # It reads every snapshot before it deletes anything, and deletes by If-Match, which needs both rights.
  statement {
    sid       = "ReadAndDelete"
    actions   = ["s3:GetObject", "s3:DeleteObject"]
    resources = local.places
  }

  # What it deleted stands in a receipt, written once and before. It can write nothing else.
  statement {
    sid       = "LeaveReceipt"
    actions   = ["s3:PutObject"]
    resources = [for place in local.places : "${place}/pruned.json"]
  }

  # What there is to keep and to delete.
  statement {
    sid       = "ListEvidence"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.evidence.arn]
  }
}

# execution: what the platform itself uses before a container starts. No container ever has it.

data "aws_iam_policy_document" "execution" {
  source_policy_documents = [data.aws_iam_policy_document.secrets_keys.json]

  # One log stream a container, and its lines.
  statement {
    sid       = "WriteLogs"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [for group in aws_cloudwatch_log_group.this : "${group.arn}:log-stream:*"]
  }

  # The image, where it lies in ECR.
  dynamic "statement" {
    for_each = local.repository == null ? [] : [local.repository]

    content {
      sid       = "PullImage"
      actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
      resources = [statement.value]
    }
  }

  # ECR's own sign-in, which has no resource.
  dynamic "statement" {
    for_each = local.repository == null ? [] : [local.repository]

    content {
      sid       = "SignInToEcr"
      actions   = ["ecr:GetAuthorizationToken"]
      resources = ["*"]
    }
  }

  # The secrets the task definitions name, and no others.
  dynamic "statement" {
    for_each = { for service, action in { ssm = "ssm:GetParameters", secretsmanager = "secretsmanager:GetSecretValue" } :
    service => action if anytrue([for arn in local.secret_arns : strcontains(arn, ":${service}:")]) }

    content {
      sid       = "Fetch${statement.key == "ssm" ? "Parameters" : "Secrets"}"
      actions   = [statement.value]
      resources = [for arn in local.secret_arns : arn if strcontains(arn, ":${statement.key}:")]
    }
  }
}
