data "aws_caller_identity" "here" {}

data "aws_region" "here" {}

data "aws_partition" "here" {}

locals {
  name       = "burst-${var.environment}"
  account    = data.aws_caller_identity.here.account_id
  region     = data.aws_region.here.name
  partition  = data.aws_partition.here.partition
  dns_suffix = data.aws_partition.here.dns_suffix

  run_control = trim(coalesce(var.run_control_prefix, "evidence/${var.environment}/run_control"), "/")
  run_scoped  = trim(var.run_scoped_prefix, "/")

  master_port = 5557 # Locust's own
  ingest_port = coalesce(try(tonumber(regex("^https?://[^/]+:([0-9]+)", var.ingest.url)[0]), null), startswith(var.ingest.url, "https:") ? 443 : 80)

  # An image in ECR needs the right to be pulled; one that lies elsewhere does not.
  ecr        = try(regex("^([0-9]{12})\\.dkr\\.ecr\\.([a-z0-9-]+)\\.amazonaws\\.com(?:\\.cn)?/([^@]+)@", var.image), null)
  repository = local.ecr == null ? null : "arn:${local.partition}:ecr:${local.ecr[1]}:${local.ecr[0]}:repository/${split(":", local.ecr[2])[0]}"

  # What stands here are ARNs, which their variables have seen to; whoever gave a secret instead is not shown it.
  api_key_from = nonsensitive(var.api_key_arn)
  dsn_from     = nonsensitive(var.receipts_dsn_arn)

  # A JSON key, stage or version after a secret's ARN belongs to the container, not to the permission.
  secret_arns = [
    for arn in compact([local.api_key_from, local.dsn_from]) :
    strcontains(arn, ":secretsmanager:") ? join(":", slice(split(":", arn), 0, 7)) : arn
  ]
  api_key_arn = local.api_key_from == null ? null : local.secret_arns[0]

  # Any revision: a plan pins the one it runs.
  families = {
    for family in ["task", "counter", "reaper"] :
    family => "arn:${local.partition}:ecs:${local.region}:${local.account}:task-definition/${local.name}-${family}:*"
  }
}
