# L3 and L4 of the hard stop: the group of the runs' own entries, which burst makes and deletes, and the sweeper.

resource "aws_scheduler_schedule_group" "this" {
  name = local.name
}

resource "aws_scheduler_schedule" "sweeper" {
  name        = "${local.name}-sweeper"
  group_name  = aws_scheduler_schedule_group.this.name
  description = "burst: ends every task past its deadline, whoever forgot it"

  schedule_expression          = "rate(5 minutes)"
  schedule_expression_timezone = "UTC"

  flexible_time_window {
    mode = "OFF"
  }

  target {
    arn      = aws_ecs_cluster.this.arn
    role_arn = aws_iam_role.this["scheduler"].arn
    input = jsonencode({
      containerOverrides = [{
        name    = "reaper"
        command = ["burst", "reap", "--all", "--cluster", aws_ecs_cluster.this.name]
      }]
    })

    ecs_parameters {
      task_definition_arn = aws_ecs_task_definition.reaper.arn_without_revision
      task_count          = 1
      launch_type         = "FARGATE"

      network_configuration {
        subnets          = var.subnet_ids
        security_groups  = [aws_security_group.tasks.id]
        assign_public_ip = false
      }
    }

    # The next sweep is five minutes away: a sweep that could not start is not worth much longer.
    retry_policy {
      maximum_retry_attempts       = 10
      maximum_event_age_in_seconds = 600
    }

    dead_letter_config {
      arn = aws_sqs_queue.dead_letters.arn
    }
  }
}

# What Scheduler could not start after all its retries. One message here is a stop that did not happen.

resource "aws_sqs_queue" "dead_letters" {
  name                      = "${local.name}-scheduler-dead-letters"
  message_retention_seconds = 1209600
  sqs_managed_sse_enabled   = true
}

resource "aws_cloudwatch_metric_alarm" "dead_letters" {
  alarm_name        = "${local.name}-stop-not-started"
  alarm_description = "EventBridge Scheduler could not run burst reap. Look for tasks past their deadline: burst reap --all --cluster ${local.name} --dry-run; see: burst runbook fault-schedule-late"

  namespace           = "AWS/SQS"
  metric_name         = "ApproximateNumberOfMessagesVisible"
  dimensions          = { QueueName = aws_sqs_queue.dead_letters.name }
  statistic           = "Maximum"
  period              = 60
  evaluation_periods  = 1
  comparison_operator = "GreaterThanThreshold"
  threshold           = 0
  treat_missing_data  = "notBreaching"
  alarm_actions       = var.alarm_actions
}

resource "aws_cloudwatch_metric_alarm" "sweeper_silent" {
  alarm_name        = "${local.name}-sweeper-silent"
  alarm_description = "The sweeper was not started for 15 minutes, though it is due every 5. Is the schedule ${local.name}-sweeper enabled? See: burst runbook fault-schedule-late"

  namespace           = "AWS/Scheduler"
  metric_name         = "InvocationAttemptCount"
  dimensions          = { ScheduleGroup = aws_scheduler_schedule_group.this.name }
  statistic           = "Sum"
  period              = 900
  evaluation_periods  = 1
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  treat_missing_data  = "breaching"
  alarm_actions       = var.alarm_actions
}
