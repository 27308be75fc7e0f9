# The task definitions. One image for all of them; what each does stands in its entry point, or in the command that
# burst gives it. Secrets are named by ARN and fetched by the execution role when a task starts.

locals {
  burst_container = merge(
    {
      name      = "burst"
      image     = var.image
      essential = true
      # L0. The guard is PID 1, so there is no init process in front of it: it reaps orphans itself.
      entryPoint       = ["python", "-m", "burst.task.guard", "--"]
      stopTimeout      = var.stop_grace_seconds + 1
      logConfiguration = local.log_configuration["task"]
    },
    local.api_key_from == null ? {} : { secrets = [{ name = "IG_API_KEY", valueFrom = local.api_key_from }] },
  )

  lifespan_container = {
    # L1. Essential: when it ends, the platform ends the task, whatever the guard does. Exit 64 says that it was this.
    # No log driver: it must not wait for anything.
    name                   = "lifespan"
    image                  = var.image
    essential              = true
    entryPoint             = ["sh", "-c", "trap 'exit 0' TERM; sleep \"$BURST_BUDGET_SECONDS\" & wait $!; exit 64"]
    environment            = [{ name = "BURST_BUDGET_SECONDS", value = tostring(var.longest_run_seconds) }]
    stopTimeout            = 2
    readonlyRootFilesystem = true
  }

  counter_container = {
    name             = "counter"
    image            = var.image
    essential        = true
    linuxParameters  = { initProcessEnabled = true }
    secrets          = [{ name = "BURST_RECEIPTS_DSN", valueFrom = local.dsn_from }]
    stopTimeout      = 10
    logConfiguration = local.log_configuration["counter"]
  }

  reaper_container = {
    name            = "reaper"
    image           = var.image
    essential       = true
    linuxParameters = { initProcessEnabled = true }
    environment = [
      { name = "BURST_CLUSTER", value = aws_ecs_cluster.this.name },
      { name = "BURST_RUN_CONTROL", value = "s3://${aws_s3_bucket.evidence.bucket}/${local.run_control}" },
    ]
    stopTimeout      = 10
    logConfiguration = local.log_configuration["reaper"]
  }
}

resource "aws_ecs_task_definition" "task" {
  family                   = "${local.name}-task"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = var.task.cpu
  memory                   = var.task.memory
  execution_role_arn       = aws_iam_role.this["execution"].arn
  task_role_arn            = aws_iam_role.this["task"].arn
  container_definitions    = jsonencode([local.burst_container, local.lifespan_container])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.task.architecture
  }
}

resource "aws_ecs_task_definition" "counter" {
  family                   = "${local.name}-counter"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.this["execution"].arn
  task_role_arn            = aws_iam_role.this["counter"].arn
  container_definitions    = jsonencode([local.counter_container])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.task.architecture
  }
}

resource "aws_ecs_task_definition" "reaper" {
  family                   = "${local.name}-reaper"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = 256
  memory                   = 512
  execution_role_arn       = aws_iam_role.this["execution"].arn
  task_role_arn            = aws_iam_role.this["reaper"].arn
  container_definitions    = jsonencode([local.reaper_container])

  runtime_platform {
    operating_system_family = "LINUX"
    cpu_architecture        = var.task.architecture
  }
}
