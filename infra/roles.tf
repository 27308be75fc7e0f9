# The roles: who may be them, and what they may do. Every statement has its sid and its reason; `tests/infra` compares
# them with the calls that a rehearsed run makes, so that none is missing and none is left over.

locals {
  # Role names by convention: burst-{environment}-{role}. burst looks for the scheduler's under this name.
  trusted = {
    for role, arns in var.trusted :
    role => length(arns) > 0 ? arns : ["arn:${local.partition}:iam::${local.account}:root"]
  }
  tasks_arn      = "arn:${local.partition}:ecs:${local.region}:${local.account}:task/${aws_ecs_cluster.this.name}/*"
  places_of_runs = "${aws_s3_bucket.evidence.arn}/${local.run_control}"
  evidence       = ["${aws_s3_bucket.evidence.arn}/${local.run_control}/*", "${aws_s3_bucket.evidence.arn}/${local.run_scoped}/*"]
  entries_arn    = "arn:${local.partition}:scheduler:${local.region}:${local.account}:schedule/${aws_scheduler_schedule_group.this.name}"
  s3_service     = "s3.${local.region}.amazonaws.com"
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

# controller: what `burst run`, `resume`, `stop`, `reconcile` do

resource "aws_iam_role" "controller" {
  name                 = "${local.name}-controller"
  description          = "burst run and its like: launches, watches and stops tasks, and publishes"
  assume_role_policy   = data.aws_iam_policy_document.trust_people["controller"].json
  max_session_duration = 14400
}

resource "aws_iam_role_policy" "controller" {
  name   = "burst"
  role   = aws_iam_role.controller.id
  policy = data.aws_iam_policy_document.controller.json
}

data "aws_iam_policy_document" "controller" {
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
    resources = concat([aws_iam_role.task.arn, aws_iam_role.counter.arn, aws_iam_role.execution.arn], var.one_shots.role_arns)

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }

  # The truth about tasks, and their end (L5).
  statement {
    sid       = "SeeAndStop"
    actions   = ["ecs:DescribeTasks", "ecs:StopTask"]
    resources = [local.tasks_arn]
  }

  # Tasks are found again by the run that started them. ListTasks knows no resource but container instances, which
  # Fargate has none of; the condition holds it to the cluster.
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

  # Whether the pinned revision has guard and sidecar. AWS has no resource-level permission for this call.
  statement {
    sid       = "ReadTaskDefinition"
    actions   = ["ecs:DescribeTaskDefinition"]
    resources = ["*"]
  }

  # Preflight: the cluster is active.
  statement {
    sid       = "SeeCluster"
    actions   = ["ecs:DescribeClusters"]
    resources = [aws_ecs_cluster.this.arn]
  }

  # Preflight: subnets, security groups and log groups of the plan are there. AWS has no resource-level permission for
  # the first two, and asks the third without a name.
  statement {
    sid       = "SeeSurroundings"
    actions   = ["ec2:DescribeSubnets", "ec2:DescribeSecurityGroups", "logs:DescribeLogGroups"]
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
    resources = [aws_iam_role.scheduler.arn]
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

  # The key of the ingest may be under a key of the customer's own.
  dynamic "statement" {
    for_each = length(var.secrets_kms_key_arns) > 0 ? [var.secrets_kms_key_arns] : []

    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["ssm.${local.region}.amazonaws.com", "secretsmanager.${local.region}.amazonaws.com"]
      }
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

  # L3: the run's own entry, made before the launch and deleted at the end; read where one was there already, as the
  # sweeper's is, which is a layer of its own.
  statement {
    sid       = "ArmSchedule"
    actions   = ["scheduler:CreateSchedule", "scheduler:GetSchedule", "scheduler:DeleteSchedule"]
    resources = ["${local.entries_arn}/*"]
  }

  # The entry runs the reaper as the scheduler's role.
  statement {
    sid       = "GiveScheduleItsRole"
    actions   = ["iam:PassRole"]
    resources = [aws_iam_role.scheduler.arn]

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
    resources = local.evidence
  }

  # Which tasks are ready, which documents are there. Without it S3 answers 403 for an object that is absent, which
  # reads as "unknown"; a condition on the prefix would bring that back, and the bucket is burst's alone.
  statement {
    sid       = "ListEvidence"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.evidence.arn]
  }

  # The objects are under this key; only by way of S3.
  statement {
    sid       = "EvidenceKey"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.evidence.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.s3_service]
    }
  }

  # The answer of a count in the VPC, as its task logged it.
  statement {
    sid       = "ReadAnswers"
    actions   = ["logs:GetLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this["counter"].arn}:log-stream:*"]
  }

  # The target's services, scaled up for a burst and always scaled back.
  dynamic "statement" {
    for_each = length(var.service_arns) > 0 ? [var.service_arns] : []

    content {
      sid       = "ScaleTarget"
      actions   = ["ecs:DescribeServices", "ecs:UpdateService"]
      resources = statement.value
    }
  }
}

# task: what runs in a burst task, which is the guard and the load

resource "aws_iam_role" "task" {
  name               = "${local.name}-task"
  description        = "burst tasks: reads the lease, claims a shard, leaves its record"
  assume_role_policy = data.aws_iam_policy_document.trust_tasks.json
}

resource "aws_iam_role_policy" "task" {
  name   = "burst"
  role   = aws_iam_role.task.id
  policy = data.aws_iam_policy_document.task.json
}

data "aws_iam_policy_document" "task" {
  # L2: a task lives as long as it can read its lease; and it reads which task took a shard before it.
  statement {
    sid       = "ReadLeaseAndClaims"
    actions   = ["s3:GetObject"]
    resources = ["${local.places_of_runs}/*/control.json", "${local.places_of_runs}/*/claims/*"]
  }

  # It takes a shard, says that it is ready, and leaves a record of its start and end. It cannot write the lease.
  statement {
    sid       = "ClaimAndRecord"
    actions   = ["s3:PutObject"]
    resources = [for folder in ["claims", "ready", "tasks"] : "${local.places_of_runs}/*/${folder}/*"]
  }

  # These objects are under this key; only by way of S3.
  statement {
    sid       = "EvidenceKey"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.evidence.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.s3_service]
    }
  }
}

# counter: `burst count` inside the VPC

resource "aws_iam_role" "counter" {
  name               = "${local.name}-counter"
  description        = "burst count in the VPC: reads questions beside the lease, and leaves its answers there"
  assume_role_policy = data.aws_iam_policy_document.trust_tasks.json
}

resource "aws_iam_role_policy" "counter" {
  name   = "burst"
  role   = aws_iam_role.counter.id
  policy = data.aws_iam_policy_document.counter.json
}

data "aws_iam_policy_document" "counter" {
  # The questions it reads, and each answer, once; the same bytes travel in the log.
  statement {
    sid       = "ReadQuestionLeaveAnswer"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.places_of_runs}/*/counts/*"]
  }

  # Both are under this key; only by way of S3.
  statement {
    sid       = "EvidenceKey"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.evidence.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.s3_service]
    }
  }
}

# reaper: `burst reap`, as the run's own schedule entry (L3) and the sweeper (L4) start it

resource "aws_iam_role" "reaper" {
  name               = "${local.name}-reaper"
  description        = "burst reap: ends tasks past their deadline"
  assume_role_policy = data.aws_iam_policy_document.trust_tasks.json
}

resource "aws_iam_role_policy" "reaper" {
  name   = "burst"
  role   = aws_iam_role.reaper.id
  policy = data.aws_iam_policy_document.reaper.json
}

data "aws_iam_policy_document" "reaper" {
  # Every task of the cluster, whoever started it. ListTasks knows no resource on Fargate; the condition holds it to
  # the cluster.
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

  # The deadline stands on the task; past it, the task is stopped and seen to end.
  statement {
    sid       = "SeeAndStop"
    actions   = ["ecs:DescribeTasks", "ecs:StopTask"]
    resources = [local.tasks_arn]
  }

  # What services had before a run scaled them, which the run noted beside its lease, and that they were put back.
  statement {
    sid       = "ServicesNoted"
    actions   = ["s3:GetObject", "s3:PutObject"]
    resources = ["${local.places_of_runs}/services/*"]
  }

  # Which runs noted any.
  statement {
    sid       = "ListServicesNoted"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.evidence.arn]
  }

  # The notes are under this key; only by way of S3.
  statement {
    sid       = "EvidenceKey"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.evidence.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.s3_service]
    }
  }

  # Services whose run is dead are put back too.
  dynamic "statement" {
    for_each = length(var.service_arns) > 0 ? [var.service_arns] : []

    content {
      sid       = "PutServicesBack"
      actions   = ["ecs:DescribeServices", "ecs:UpdateService"]
      resources = statement.value
    }
  }
}

# scheduler: what EventBridge Scheduler starts the reaper as

resource "aws_iam_role" "scheduler" {
  name               = "${local.name}-scheduler"
  description        = "EventBridge Scheduler: starts burst reap"
  assume_role_policy = data.aws_iam_policy_document.trust_scheduler.json
}

resource "aws_iam_role_policy" "scheduler" {
  name   = "burst"
  role   = aws_iam_role.scheduler.id
  policy = data.aws_iam_policy_document.scheduler.json
}

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
    resources = [aws_iam_role.reaper.arn, aws_iam_role.execution.arn]

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

resource "aws_iam_role" "consumer" {
  name               = "${local.name}-consumer"
  description        = "reads and verifies burst's evidence"
  assume_role_policy = data.aws_iam_policy_document.trust_people["consumer"].json
}

resource "aws_iam_role_policy" "consumer" {
  name   = "burst"
  role   = aws_iam_role.consumer.id
  policy = data.aws_iam_policy_document.consumer.json
}

data "aws_iam_policy_document" "consumer" {
  # The documents of both places, so that they can be compared.
  statement {
    sid       = "ReadEvidence"
    actions   = ["s3:GetObject"]
    resources = local.evidence
  }

  # Which documents and which attempts there are; and 404 rather than 403 for one that is absent.
  statement {
    sid       = "ListEvidence"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.evidence.arn]
  }

  # The documents are under this key; only by way of S3.
  statement {
    sid       = "EvidenceKey"
    actions   = ["kms:Decrypt"]
    resources = [aws_kms_key.evidence.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.s3_service]
    }
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

resource "aws_iam_role" "prune" {
  name               = "${local.name}-prune"
  description        = "burst evidence prune: deletes superseded evidence"
  assume_role_policy = data.aws_iam_policy_document.trust_people["prune"].json
}

resource "aws_iam_role_policy" "prune" {
  name   = "burst"
  role   = aws_iam_role.prune.id
  policy = data.aws_iam_policy_document.prune.json
}

data "aws_iam_policy_document" "prune" {
  # It reads every snapshot before it deletes anything, and deletes by If-Match, which needs both rights.
  statement {
    sid       = "ReadAndDelete"
    actions   = ["s3:GetObject", "s3:DeleteObject"]
    resources = local.evidence
  }

  # What it deleted stands in a receipt, written once.
  statement {
    sid       = "LeaveReceipt"
    actions   = ["s3:PutObject"]
    resources = local.evidence
  }

  # What there is to keep and to delete.
  statement {
    sid       = "ListEvidence"
    actions   = ["s3:ListBucket"]
    resources = [aws_s3_bucket.evidence.arn]
  }

  # Documents and receipts are under this key; only by way of S3.
  statement {
    sid       = "EvidenceKey"
    actions   = ["kms:GenerateDataKey", "kms:Decrypt"]
    resources = [aws_kms_key.evidence.arn]

    condition {
      test     = "StringEquals"
      variable = "kms:ViaService"
      values   = [local.s3_service]
    }
  }
}

# execution: what the platform itself uses before a container starts. No container ever has it.

resource "aws_iam_role" "execution" {
  name               = "${local.name}-execution"
  description        = "ECS for burst tasks: pulls the image, fetches secrets, opens log streams"
  assume_role_policy = data.aws_iam_policy_document.trust_tasks.json
}

resource "aws_iam_role_policy" "execution" {
  name   = "burst"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

data "aws_iam_policy_document" "execution" {
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

  # Secrets under a key of the customer's own.
  dynamic "statement" {
    for_each = length(var.secrets_kms_key_arns) > 0 ? [var.secrets_kms_key_arns] : []

    content {
      sid       = "DecryptSecrets"
      actions   = ["kms:Decrypt"]
      resources = statement.value

      condition {
        test     = "StringEquals"
        variable = "kms:ViaService"
        values   = ["ssm.${local.region}.amazonaws.com", "secretsmanager.${local.region}.amazonaws.com"]
      }
    }
  }
}
