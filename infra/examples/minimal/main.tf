# The least that has to be said: where the tasks run, what they load, and where the two secrets lie.

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
}

module "burst" {
  source = "../.."

  environment      = "dev"
  image            = var.image
  vpc_id           = var.vpc_id
  subnet_ids       = var.subnet_ids
  evidence_bucket  = var.evidence_bucket
  api_key_arn      = var.api_key_arn
  receipts_dsn_arn = var.receipts_dsn_arn
  postgres         = { security_group_id = var.postgres_security_group_id }
  ingest           = { url = var.ingest_url, cidr_blocks = var.ingest_cidr_blocks }
}

output "plan" {
  description = "For: terraform output -json > outputs.json && burst init --target ecs --from-terraform outputs.json"
  value       = module.burst.plan
}

output "roles" {
  description = "The roles. Run burst as roles.controller."
  value       = module.burst.roles
}
