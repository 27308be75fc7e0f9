# What `burst init --target ecs --from-terraform` reads, in the words of a plan.

output "plan" {
  description = "Everything of a plan that this module decides: `burst init --target ecs --from-terraform OUTPUTS.json` writes it."
  value = {
    environment = var.environment
    region      = local.region
    target = {
      cluster         = aws_ecs_cluster.this.name
      task_definition = "${aws_ecs_task_definition.task.family}:${aws_ecs_task_definition.task.revision}"
      container       = "burst"
      capacity        = ["FARGATE_SPOT", "FARGATE"]
      subnets         = var.subnet_ids
      security_groups = [aws_security_group.tasks.id]
      reaper = {
        task_definition = aws_ecs_task_definition.reaper.family
        role_arn        = aws_iam_role.this["scheduler"].arn
        group           = aws_scheduler_schedule_group.this.name
        dead_letter_arn = aws_sqs_queue.dead_letters.arn
      }
    }
    load = {
      host    = trimsuffix(var.ingest.url, "/")
      api_key = local.api_key_from != null
    }
    evidence = {
      run_control = "s3://${aws_s3_bucket.evidence.bucket}/${local.run_control}"
      run_scoped  = "s3://${aws_s3_bucket.evidence.bucket}/${local.run_scoped}"
    }
  }
}

output "roles" {
  description = "ARNs of the roles: controller, consumer and prune for people and pipelines, the others for AWS."
  value       = { for role, made in aws_iam_role.this : role => made.arn }
}

output "evidence" {
  description = "The bucket of leases and evidence, and its key."
  value = {
    bucket  = aws_s3_bucket.evidence.bucket
    kms_key = aws_kms_key.evidence.arn
  }
}

output "security_group_id" {
  description = "The security group of every burst task."
  value       = aws_security_group.tasks.id
}

output "log_groups" {
  description = "The log groups, by task: task, counter, reaper."
  value       = { for name, group in aws_cloudwatch_log_group.this : name => group.name }
}

output "dead_letters" {
  description = "The queue of stops that Scheduler could not start; its alarm is burst-{environment}-stop-not-started."
  value       = aws_sqs_queue.dead_letters.url
}
