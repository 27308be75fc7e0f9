# In a VPC that is there already, found by its tags: its private subnets, the groups of database and ingest, the
# secrets by name. Evidence is locked for a year, alarms go to a topic, and plans may scale the ingest's service.

terraform {
  required_version = ">= 1.9"

  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = "~> 5.0"
    }
  }
}

provider "aws" {
  region = var.region

  default_tags {
    tags = { Project = "burst", Environment = "staging" }
  }
}

data "aws_vpc" "platform" {
  tags = { Name = var.vpc_name }
}

data "aws_subnets" "private" {
  filter {
    name   = "vpc-id"
    values = [data.aws_vpc.platform.id]
  }

  tags = { Tier = "private" }
}

data "aws_security_group" "postgres" {
  vpc_id = data.aws_vpc.platform.id
  name   = var.postgres_security_group
}

data "aws_security_group" "ingest" {
  vpc_id = data.aws_vpc.platform.id
  name   = var.ingest_security_group
}

data "aws_caller_identity" "here" {}

locals {
  # By ARN only: reading a parameter here would put its value into the state.
  parameters = "arn:aws:ssm:${var.region}:${data.aws_caller_identity.here.account_id}:parameter"
}

module "burst" {
  source = "../.."

  environment      = "staging"
  image            = var.image
  vpc_id           = data.aws_vpc.platform.id
  subnet_ids       = data.aws_subnets.private.ids
  evidence_bucket  = "burst-evidence-${data.aws_caller_identity.here.account_id}"
  api_key_arn      = "${local.parameters}${var.api_key_parameter}"
  receipts_dsn_arn = "${local.parameters}${var.receipts_dsn_parameter}"
  postgres         = { security_group_id = data.aws_security_group.postgres.id }
  ingest           = { url = var.ingest_url, security_group_id = data.aws_security_group.ingest.id }

  object_lock        = { mode = "GOVERNANCE", days = 365 }
  log_retention_days = 90
  task               = { cpu = 2048, memory = 4096 }
  service_arns       = var.ingest_service_arns
  alarm_actions      = var.alarm_topic_arns
  trusted = {
    controller = var.operator_role_arns
    consumer   = var.pipeline_role_arns
  }
}

output "plan" {
  description = "For: terraform output -json > outputs.json && burst init --target ecs --from-terraform outputs.json"
  value       = module.burst.plan
}

output "roles" {
  description = "The roles. Run burst as roles.controller."
  value       = module.burst.roles
}
