resource "aws_cloudwatch_log_group" "this" {
  for_each = toset(["task", "counter", "reaper"])

  name              = "/burst/${var.environment}/${each.key}"
  retention_in_days = var.log_retention_days
}

locals {
  log_configuration = {
    for name, mode in {
      # Load must not wait for its log, nor the last layer of the hard stop: lines may be lost there.
      task   = { mode = "non-blocking", max-buffer-size = "4m" }
      reaper = { mode = "non-blocking", max-buffer-size = "4m" }
      # The answer of a count travels in its log: no line of it may be lost.
      counter = { mode = "blocking" }
      } : name => {
      logDriver = "awslogs"
      options = merge(mode, {
        awslogs-group         = aws_cloudwatch_log_group.this[name].name
        awslogs-region        = local.region
        awslogs-stream-prefix = "burst"
      })
    }
  }
}
