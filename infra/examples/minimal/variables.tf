variable "region" {
  description = "The AWS region."
  type        = string
}

variable "image" {
  description = "The burst image, REPOSITORY@sha256:DIGEST."
  type        = string
}

variable "vpc_id" {
  description = "The VPC."
  type        = string
}

variable "subnet_ids" {
  description = "Private subnets with a way to the AWS APIs."
  type        = list(string)
}

variable "evidence_bucket" {
  description = "Name of the bucket to make."
  type        = string
}

variable "api_key_arn" {
  description = "ARN of the ingest's API key."
  type        = string
  sensitive   = true # who puts the secret itself here by mistake is not shown it in an error
}

variable "receipts_dsn_arn" {
  description = "ARN of the DSN of the receipts."
  type        = string
  sensitive   = true # who puts the secret itself here by mistake is not shown it in an error
}

variable "postgres_security_group_id" {
  description = "Security group of the existing database."
  type        = string
}

variable "ingest_url" {
  description = "URL of the ingest."
  type        = string
}

variable "ingest_cidr_blocks" {
  description = "Where the ingest is reached."
  type        = list(string)
}
