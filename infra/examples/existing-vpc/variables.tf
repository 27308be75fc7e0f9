variable "region" {
  description = "The AWS region."
  type        = string
}

variable "image" {
  description = "The burst image, REPOSITORY@sha256:DIGEST."
  type        = string
}

variable "vpc_name" {
  description = "The VPC's Name tag. Its private subnets carry Tier = private."
  type        = string
}

variable "postgres_security_group" {
  description = "Name of the database's security group."
  type        = string
}

variable "ingest_security_group" {
  description = "Name of the ingest's security group."
  type        = string
}

variable "ingest_url" {
  description = "URL of the ingest."
  type        = string
}

variable "ingest_service_arns" {
  description = "ECS services of the ingest that plans may scale."
  type        = list(string)
  default     = []
}

variable "api_key_parameter" {
  description = "Name of the SSM parameter that holds the ingest's API key, with its leading slash."
  type        = string
  default     = "/platform/ingest/api_key"
}

variable "receipts_dsn_parameter" {
  description = "Name of the SSM parameter that holds the DSN of the receipts, with its leading slash."
  type        = string
  default     = "/platform/receipts/dsn_readonly"
}

variable "operator_role_arns" {
  description = "Who may run bursts."
  type        = list(string)
  default     = []
}

variable "pipeline_role_arns" {
  description = "Who may read verdicts."
  type        = list(string)
  default     = []
}

variable "alarm_topic_arns" {
  description = "SNS topics of the alarms."
  type        = list(string)
  default     = []
}
