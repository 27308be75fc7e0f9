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
  sensitive   = true # who puts the secret itself here by mistake is not shown it in an error
  default     = "/platform/ingest/api_key"

  validation {
    condition     = startswith(var.api_key_parameter, "/")
    error_message = "api_key_parameter is the name of an SSM parameter, with its leading slash, never the secret itself."
  }
}

variable "receipts_dsn_parameter" {
  description = "Name of the SSM parameter that holds the DSN of the receipts, with its leading slash."
  type        = string
  sensitive   = true # who puts the secret itself here by mistake is not shown it in an error
  default     = "/platform/receipts/dsn_readonly"

  validation {
    condition     = startswith(var.receipts_dsn_parameter, "/")
    error_message = "receipts_dsn_parameter is the name of an SSM parameter, with its leading slash, never the secret itself."
  }
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
