# What the module says, without any AWS: names by convention, the layers of the hard stop, and what it refuses.

mock_provider "aws" {
  mock_data "aws_caller_identity" {
    defaults = { account_id = "123456789012" }
  }

  mock_data "aws_region" {
    defaults = { name = "eu-west-2" }
  }

  mock_data "aws_partition" {
    defaults = { partition = "aws", dns_suffix = "amazonaws.com" }
  }

  mock_data "aws_iam_policy_document" {
    defaults = { json = "{\"Version\":\"2012-10-17\",\"Statement\":[]}" }
  }

  mock_resource "aws_ecs_cluster" {
    defaults = { arn = "arn:aws:ecs:eu-west-2:123456789012:cluster/burst-dev" }
  }

  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/burst-dev-mocked" }
  }

  mock_resource "aws_kms_key" {
    defaults = { arn = "arn:aws:kms:eu-west-2:123456789012:key/00000000-0000-0000-0000-000000000000" }
  }

  mock_resource "aws_s3_bucket" {
    defaults = { arn = "arn:aws:s3:::burst-evidence-test" }
  }

  mock_resource "aws_sqs_queue" {
    defaults = { arn = "arn:aws:sqs:eu-west-2:123456789012:burst-dev-scheduler-dead-letters" }
  }

  mock_resource "aws_ecs_task_definition" {
    defaults = {
      arn                  = "arn:aws:ecs:eu-west-2:123456789012:task-definition/burst-dev-mocked:1"
      arn_without_revision = "arn:aws:ecs:eu-west-2:123456789012:task-definition/burst-dev-mocked"
      revision             = 1
    }
  }
}

variables {
  environment      = "dev"
  image            = "123456789012.dkr.ecr.eu-west-2.amazonaws.com/tools/burst@sha256:0000000000000000000000000000000000000000000000000000000000000000"
  vpc_id           = "vpc-0a1b2c3d"
  subnet_ids       = ["subnet-0a1b2c3d", "subnet-4e5f6a7b"]
  evidence_bucket  = "burst-evidence-test"
  api_key_arn      = "arn:aws:ssm:eu-west-2:123456789012:parameter/platform/ingest/api_key"
  receipts_dsn_arn = "arn:aws:secretsmanager:eu-west-2:123456789012:secret:receipts-AbCdEf:dsn::"
  postgres         = { security_group_id = "sg-0a1b2c3d" }
  ingest           = { url = "http://ingest.internal:8080", security_group_id = "sg-4e5f6a7b" }
}

run "as_it_comes" {
  assert {
    condition     = aws_ecs_cluster.this.name == "burst-dev" && aws_scheduler_schedule_group.this.name == "burst-dev" && aws_scheduler_schedule.sweeper.name == "burst-dev-sweeper"
    error_message = "cluster, schedule group and sweeper are named by the environment"
  }

  assert {
    condition     = aws_iam_role.this["scheduler"].name == "burst-dev-scheduler" && aws_ecs_task_definition.reaper.family == "burst-dev-reaper" && aws_ecs_task_definition.counter.family == "burst-dev-counter"
    error_message = "burst finds scheduler role, reaper and counter by these names"
  }

  assert {
    condition     = output.plan.target.task_definition == "burst-dev-task:1" && output.plan.evidence.run_control == "s3://burst-evidence-test/evidence/dev/run_control"
    error_message = "the plan pins a revision and names its places"
  }

  assert {
    condition = alltrue([
      join(" ", local.burst_container.entryPoint) == "python -m burst.task.guard --",
      !can(local.burst_container.linuxParameters),
      local.burst_container.essential && local.burst_container.stopTimeout == 31,
    ])
    error_message = "L0: the guard is the entry point and PID 1, and outlasted by the stop timeout"
  }

  assert {
    condition     = local.lifespan_container.essential && endswith(local.lifespan_container.entryPoint[2], "exit 64") && !can(local.lifespan_container.logConfiguration)
    error_message = "L1: the sidecar is essential, says 64, and waits for no log"
  }

  assert {
    condition     = jsondecode(aws_ecs_task_definition.task.container_definitions)[0].secrets[0] == { name = "IG_API_KEY", valueFrom = "arn:aws:ssm:eu-west-2:123456789012:parameter/platform/ingest/api_key" }
    error_message = "secrets are named by ARN"
  }

  assert {
    condition     = { for name, log in local.log_configuration : name => log.options.mode } == { counter = "blocking", reaper = "non-blocking", task = "non-blocking" }
    error_message = "mode is blocking where answers travel, and nowhere else"
  }

  assert {
    condition     = aws_scheduler_schedule.sweeper.schedule_expression == "rate(5 minutes)" && jsondecode(aws_scheduler_schedule.sweeper.target[0].input).containerOverrides[0].command == ["burst", "reap", "--all", "--cluster", "burst-dev"]
    error_message = "L4: burst reap --all, every five minutes"
  }

  assert {
    condition     = aws_scheduler_schedule.sweeper.target[0].dead_letter_config[0].arn == aws_sqs_queue.dead_letters.arn && aws_cloudwatch_metric_alarm.dead_letters.threshold == 0
    error_message = "a stop that could not be started raises an alarm"
  }

  assert {
    condition     = aws_vpc_security_group_egress_rule.ingest_group[0].to_port == 8080 && aws_vpc_security_group_egress_rule.postgres.to_port == 5432 && length(aws_vpc_security_group_egress_rule.https) == 1 && length(aws_vpc_security_group_ingress_rule.master) == 0
    error_message = "three ways out, and none between tasks"
  }

  assert {
    condition     = local.secret_arns == ["arn:aws:ssm:eu-west-2:123456789012:parameter/platform/ingest/api_key", "arn:aws:secretsmanager:eu-west-2:123456789012:secret:receipts-AbCdEf"]
    error_message = "the JSON key of a secret is no part of its ARN"
  }

  assert {
    condition     = local.repository == "arn:aws:ecr:eu-west-2:123456789012:repository/tools/burst"
    error_message = "the repository of the image"
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.evidence[0].rule[0].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "old versions are kept for a month"
  }

  assert {
    condition     = aws_s3_bucket.evidence.object_lock_enabled && aws_s3_bucket_object_lock_configuration.evidence[0].rule[0].default_retention[0].mode == "GOVERNANCE" && !aws_s3_bucket.evidence.force_destroy
    error_message = "evidence is locked as it comes, and destroyed with nothing"
  }

  assert {
    condition     = aws_s3_bucket_versioning.evidence.versioning_configuration[0].status == "Enabled" && alltrue([for shut in ["block_public_acls", "block_public_policy", "ignore_public_acls", "restrict_public_buckets"] : aws_s3_bucket_public_access_block.evidence[shut]])
    error_message = "versions are kept, and nothing is public"
  }

  assert {
    condition     = one(one(aws_s3_bucket_server_side_encryption_configuration.evidence.rule).apply_server_side_encryption_by_default).sse_algorithm == "aws:kms" && aws_kms_key.evidence.enable_key_rotation
    error_message = "evidence is under a key of its own"
  }

  assert {
    condition = toset([for statement in data.aws_iam_policy_document.evidence_bucket.statement : statement.sid if statement.effect == "Deny"]) == toset([
      "OnlyOverTls", "WrittenOnce", "OnlyPruneDeletes", "SnapshotsAndLeasesStay", "PruneNamesTheBytes", "NothingIsDestroyed", "OnlyUnderOurKey", "NoKeyOfTheCaller",
    ])
    error_message = "what the bucket denies to everybody"
  }
}

run "with_other_choices" {
  variables {
    image       = "registry.example/burst@sha256:0000000000000000000000000000000000000000000000000000000000000000"
    api_key_arn = null
    ingest      = { url = "https://ingest.example", cidr_blocks = ["0.0.0.0/0"] }
    object_lock = { mode = "COMPLIANCE", days = 30 }
    distributed = true

    secrets_kms_key_arns = ["arn:aws:kms:eu-west-2:123456789012:key/secrets"]
    signing_key_arn      = "arn:aws:kms:eu-west-2:123456789012:key/signing"
    service_arns         = ["arn:aws:ecs:eu-west-2:123456789012:service/platform/ingest"]
  }

  assert {
    condition     = contains(flatten([for statement in data.aws_iam_policy_document.stop.statement : statement.resources]), "arn:aws:ecs:eu-west-2:123456789012:service/platform/ingest")
    error_message = "whoever stops tasks puts the services back"
  }

  assert {
    condition     = length(aws_vpc_security_group_egress_rule.ingest_blocks) == 1 && length(aws_vpc_security_group_egress_rule.https) == 0 && length(aws_vpc_security_group_ingress_rule.ingest) == 0
    error_message = "one rule for one block and port"
  }

  assert {
    condition     = aws_vpc_security_group_ingress_rule.master[0].from_port == 5557 && aws_vpc_security_group_egress_rule.master[0].to_port == 5557
    error_message = "workers reach their master"
  }

  assert {
    condition     = local.repository == null && !can(local.burst_container.secrets) && length(local.secret_arns) == 1
    error_message = "no ECR, no key"
  }

  assert {
    condition     = aws_s3_bucket.evidence.object_lock_enabled && aws_s3_bucket_object_lock_configuration.evidence[0].rule[0].default_retention[0].days == 30
    error_message = "the lock is a choice"
  }
}

run "with_nothing_locked_by_itself" {
  variables {
    object_lock = null
  }

  assert {
    condition     = aws_s3_bucket.evidence.object_lock_enabled && length(aws_s3_bucket_object_lock_configuration.evidence) == 0
    error_message = "plans may still lock their own documents"
  }
}

run "null_is_what_comes_by_default" {
  command = plan

  variables {
    task               = null
    trusted            = null
    log_retention_days = null
    https_cidr_blocks  = null
    run_scoped_prefix  = null
  }

  assert {
    condition     = var.task.cpu == 1024 && var.log_retention_days == 30 && length(var.https_cidr_blocks) == 1
    error_message = "a wrapper may pass null on"
  }
}

run "refuses_what_burst_cannot_use" {
  command = plan

  variables {
    environment         = "local"
    image               = "burst:latest"
    vpc_id              = "my-vpc"
    subnet_ids          = []
    evidence_bucket     = "Evidence"
    api_key_arn         = "a-key"
    receipts_dsn_arn    = "postgresql://reader:word@db/receipts"
    postgres            = { security_group_id = "default" }
    ingest              = { url = "ingest.internal" }
    object_lock         = { mode = "SOFT", days = 1 }
    task                = { cpu = 100 }
    stop_grace_seconds  = 120
    longest_run_seconds = 1
    old_version_days    = 0
    signing_key_arn     = "alias/burst"

    run_control_prefix   = "a//b"
    log_retention_days   = 42
    https_cidr_blocks    = []
    secrets_kms_key_arns = ["alias/secrets"]
    service_arns         = ["ingest"]
    service_role_arns    = ["ingest"]
    one_shots            = { task_definition_arns = ["reporter:3"], role_arns = ["reporter"] }
    trusted              = { controller = ["*"] }
    alarm_actions        = ["ops@example.com"]
  }

  expect_failures = [
    var.environment, var.image, var.vpc_id, var.subnet_ids, var.evidence_bucket, var.api_key_arn,
    var.receipts_dsn_arn, var.postgres, var.ingest, var.object_lock, var.task, var.stop_grace_seconds,
    var.longest_run_seconds, var.old_version_days, var.signing_key_arn, var.run_control_prefix,
    var.log_retention_days, var.https_cidr_blocks, var.secrets_kms_key_arns, var.service_arns, var.one_shots,
    var.service_role_arns, var.trusted, var.alarm_actions,
  ]
}

run "refuses_what_aws_would_refuse_later" {
  command = plan

  variables {
    postgres          = { security_group_id = "sg-0a1b2c3d", port = 70000 }
    ingest            = { url = "http://ingest.internal:8080/v1/ingest/push", cidr_blocks = ["10.0.0.0"] }
    task              = { cpu = 256, memory = 4096 }
    object_lock       = { mode = "GOVERNANCE", days = 0.5 }
    evidence_bucket   = "evidence..burst"
    run_scoped_prefix = "/"
  }

  expect_failures = [var.postgres, var.ingest, var.task, var.object_lock, var.evidence_bucket, var.run_scoped_prefix]
}

run "refuses_two_places_in_one" {
  command = plan

  variables {
    run_control_prefix = "evidence/runs/"
  }

  expect_failures = [var.run_scoped_prefix]
}
