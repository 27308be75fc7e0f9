# What must be said

variable "environment" {
  description = "The environment of the plans that run here. Every name of the module holds it, and burst finds what it needs by those names."
  type        = string

  validation {
    condition     = contains(["dev", "ci", "staging", "pilot", "prod"], var.environment)
    error_message = "environment is one of dev, ci, staging, pilot, prod: the environments of a plan that can run on ECS."
  }
}

variable "image" {
  description = "The burst image (infra/Dockerfile), pinned by its digest: REPOSITORY@sha256:DIGEST."
  type        = string

  validation {
    condition     = can(regex("^[^\\s@]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is pinned by its digest, REPOSITORY@sha256: and 64 hex digits: a tag may be moved between two tasks of one burst. `docker push` prints the digest."
  }
}

variable "vpc_id" {
  description = "The VPC in which the system under load and its database can be reached."
  type        = string

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id is the id of a VPC, vpc-..."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the tasks, with a way to AWS's APIs: a NAT gateway, or VPC endpoints for ECR, ECS, CloudWatch Logs, S3 and the secret store. Tasks get no public address. Several zones give a burst more capacity to be placed in."
  type        = list(string)

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids is a list of at least one subnet-..."
  }
}

variable "evidence_bucket" {
  description = "Name of the bucket to make for leases and evidence."
  type        = string

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.evidence_bucket))
    error_message = "evidence_bucket is a bucket name: 3 to 63 lower-case letters, digits, . and -."
  }
}

variable "api_key_arn" {
  description = "ARN of the SSM parameter or Secrets Manager secret that holds the ingest's API key. The value is never seen by Terraform. Null where the ingest asks for none."
  type        = string

  validation {
    condition     = var.api_key_arn == null || can(regex("^arn:[a-z-]+:(ssm:[a-z0-9-]+:[0-9]{12}:parameter/|secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:).+$", var.api_key_arn))
    error_message = "api_key_arn is the ARN of an SSM parameter or of a Secrets Manager secret, never the key itself."
  }
}

variable "receipts_dsn_arn" {
  description = "ARN of the SSM parameter or Secrets Manager secret that holds the DSN of the receipts, of a database role that can only read. The value is never seen by Terraform."
  type        = string

  validation {
    condition     = can(regex("^arn:[a-z-]+:(ssm:[a-z0-9-]+:[0-9]{12}:parameter/|secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:).+$", var.receipts_dsn_arn))
    error_message = "receipts_dsn_arn is the ARN of an SSM parameter or of a Secrets Manager secret, never the DSN itself."
  }
}

variable "postgres" {
  description = "The existing database: its security group, which is opened to burst's tasks, and its port."
  type = object({
    security_group_id = string
    port              = optional(number, 5432)
  })

  validation {
    condition     = startswith(var.postgres.security_group_id, "sg-")
    error_message = "postgres.security_group_id is the security group of the existing database, sg-..."
  }
}

variable "ingest" {
  description = "The system under load: its URL, and where tasks may reach it, which is a security group or CIDR blocks."
  type = object({
    url               = string
    security_group_id = optional(string)
    cidr_blocks       = optional(list(string), [])
  })

  validation {
    condition     = can(regex("^https?://[^/\\s@?#:]+(:[0-9]{1,5})?(/[^\\s@?#]*)?$", var.ingest.url))
    error_message = "ingest.url is http://HOST[:PORT] or https://HOST[:PORT], without user, query or fragment."
  }

  validation {
    condition     = (var.ingest.security_group_id != null) != (length(var.ingest.cidr_blocks) > 0)
    error_message = "ingest names either security_group_id or cidr_blocks: tasks may send load there and nowhere else."
  }
}

# What may be said

variable "run_control_prefix" {
  description = "Where in the bucket leases and the authoritative evidence lie. Null is evidence/{environment}/run_control."
  type        = string
  default     = null
}

variable "run_scoped_prefix" {
  description = "Where in the bucket the evidence by run scope lies."
  type        = string
  default     = "evidence/runs"
}

variable "object_lock" {
  description = "Object Lock on every object written, for so many days. Only a new bucket can have it. GOVERNANCE can be lifted by whoever may; COMPLIANCE by nobody, not even the account's owner. Null for none."
  type = object({
    mode = string
    days = number
  })
  default = null

  validation {
    condition     = var.object_lock == null || try(contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock.mode) && var.object_lock.days >= 1, false)
    error_message = "object_lock.mode is GOVERNANCE or COMPLIANCE, and object_lock.days at least 1."
  }
}

variable "old_version_days" {
  description = "How many days an old version is kept: of a lease, and of what the prune role deleted. Null keeps them for ever."
  type        = number
  default     = 30

  validation {
    condition     = var.old_version_days == null || try(var.old_version_days >= 1, false)
    error_message = "old_version_days is at least 1, or null."
  }
}

variable "task" {
  description = "What one burst task has: CPU units, MiB of memory, and the architecture its image was built for."
  type = object({
    cpu          = optional(number, 1024)
    memory       = optional(number, 2048)
    architecture = optional(string, "X86_64")
  })
  default = {}

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.task.cpu)
    error_message = "task.cpu is a size Fargate has: 256, 512, 1024, 2048, 4096, 8192 or 16384."
  }

  validation {
    condition     = contains(["X86_64", "ARM64"], var.task.architecture)
    error_message = "task.architecture is X86_64 or ARM64."
  }
}

variable "stop_grace_seconds" {
  description = "The longest budget.stop_grace of the plans. A container gets a second more between TERM and KILL, so that the guard's own KILL comes first."
  type        = number
  default     = 30

  validation {
    condition     = var.stop_grace_seconds >= 1 && var.stop_grace_seconds <= 119
    error_message = "stop_grace_seconds is 1 to 119: Fargate waits at most 120 s after TERM."
  }
}

variable "longest_run_seconds" {
  description = "How long the lifespan container lets a task live to which no run gave a budget of its own."
  type        = number
  default     = 5400

  validation {
    condition     = var.longest_run_seconds >= 60
    error_message = "longest_run_seconds is at least 60."
  }
}

variable "log_retention_days" {
  description = "How long the logs of tasks are kept, in days: one of the figures CloudWatch Logs knows."
  type        = number
  default     = 30
}

variable "https_cidr_blocks" {
  description = "Where tasks reach AWS's APIs over HTTPS. Everywhere by default, because without VPC endpoints their addresses change; the VPC's own block where there are interface endpoints for all of them (a gateway endpoint of S3 is reached at public addresses)."
  type        = list(string)
  default     = ["0.0.0.0/0"]
}

variable "secrets_kms_key_arns" {
  description = "Customer keys with which the secrets are encrypted, so that the execution role may decrypt them. Empty where they are under AWS's own keys."
  type        = list(string)
  default     = []
}

variable "signing_key_arn" {
  description = "KMS key with which plans sign their documents. Null where they sign with none of KMS."
  type        = string
  default     = null

  validation {
    condition     = var.signing_key_arn == null || can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", var.signing_key_arn))
    error_message = "signing_key_arn is the ARN of a KMS key, arn:aws:kms:REGION:ACCOUNT:key/ID."
  }
}

variable "service_arns" {
  description = "ECS services of the system under load that plans may scale up, and that are always scaled back."
  type        = list(string)
  default     = []
}

variable "one_shots" {
  description = "One-shot tasks that plans may run before or after a burst: their task definitions, without revision, and the roles those definitions name."
  type = object({
    task_definition_arns = optional(list(string), [])
    role_arns            = optional(list(string), [])
  })
  default = {}
}

variable "trusted" {
  description = "Who may take on the roles for people and pipelines, by ARN. An empty list leaves it to the IAM policies of this account."
  type = object({
    controller = optional(list(string), [])
    consumer   = optional(list(string), [])
    prune      = optional(list(string), [])
  })
  default = {}
}

variable "alarm_actions" {
  description = "What the alarms notify, such as an SNS topic. Without any, an alarm is seen only by whoever looks."
  type        = list(string)
  default     = []
}
