# What must be said

variable "environment" {
  description = "The environment of the plans that run here. Every name of the module holds it, and burst finds what it needs by those names."
  type        = string
  nullable    = false

  validation {
    condition     = contains(["dev", "ci", "staging", "pilot", "prod"], var.environment)
    error_message = "environment is one of dev, ci, staging, pilot, prod: the environments of a plan that can run on ECS."
  }
}

variable "image" {
  description = "The burst image (infra/Dockerfile), pinned by its digest: REPOSITORY@sha256:DIGEST."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[^\\s@]+@sha256:[0-9a-f]{64}$", var.image))
    error_message = "image is pinned by its digest, REPOSITORY@sha256: and 64 hex digits: a tag may be moved between two tasks of one burst. `docker push` prints the digest."
  }
}

variable "vpc_id" {
  description = "The VPC in which the system under load and its database can be reached."
  type        = string
  nullable    = false

  validation {
    condition     = startswith(var.vpc_id, "vpc-")
    error_message = "vpc_id is the id of a VPC, vpc-..."
  }
}

variable "subnet_ids" {
  description = "Private subnets of the tasks, with a way to AWS's APIs: a NAT gateway, or VPC endpoints for ECR, ECS, CloudWatch Logs, S3 and the secret store. Tasks get no public address, unless the plan says target.assign_public_ip. Several zones give a burst more capacity to be placed in."
  type        = list(string)
  nullable    = false

  validation {
    condition     = length(var.subnet_ids) > 0 && alltrue([for id in var.subnet_ids : startswith(id, "subnet-")])
    error_message = "subnet_ids is a list of at least one subnet-..."
  }
}

variable "evidence_bucket" {
  description = "Name of the bucket to make for leases and evidence."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$", var.evidence_bucket)) && !strcontains(var.evidence_bucket, "..")
    error_message = "evidence_bucket is a bucket name: 3 to 63 lower-case letters, digits, . and -, without two dots in a row; not s3:// and no path."
  }
}

variable "api_key_arn" {
  description = "ARN of the SSM parameter or Secrets Manager secret that holds the ingest's API key. The value is never seen by Terraform. Null where the ingest asks for none."
  type        = string
  sensitive   = true # who puts the secret itself here by mistake is not shown it in an error

  validation {
    condition     = var.api_key_arn == null || can(regex("^arn:[a-z-]+:(ssm:[a-z0-9-]+:[0-9]{12}:parameter/|secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:).+$", var.api_key_arn))
    error_message = "api_key_arn is the ARN of an SSM parameter or of a Secrets Manager secret, never the key itself."
  }
}

variable "receipts_dsn_arn" {
  description = "ARN of the SSM parameter or Secrets Manager secret that holds the DSN of the receipts, of a database role that can only read. The value is never seen by Terraform."
  type        = string
  sensitive   = true # who puts the secret itself here by mistake is not shown it in an error
  nullable    = false

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
  nullable = false

  validation {
    condition     = startswith(var.postgres.security_group_id, "sg-")
    error_message = "postgres.security_group_id is the security group of the existing database, sg-..."
  }

  validation {
    condition     = var.postgres.port >= 1 && var.postgres.port <= 65535 && floor(var.postgres.port) == var.postgres.port
    error_message = "postgres.port is a port, 1 to 65535."
  }
}

variable "distributed" {
  description = "Whether tasks reach each other on the port of a Locust master, as load.topology: distributed needs."
  type        = bool
  default     = false
  nullable    = false
}

variable "ingest" {
  description = "The system under load: its URL, and where tasks may reach it, which is a security group or CIDR blocks."
  type = object({
    url               = string
    security_group_id = optional(string)
    cidr_blocks       = optional(list(string), [])
  })
  nullable = false

  validation {
    condition     = can(regex("^https?://[^/\\s@?#:]+(:[0-9]{1,5})?(/[^\\s@?#]*)?$", var.ingest.url))
    error_message = "ingest.url is http://HOST[:PORT] or https://HOST[:PORT], without user, query or fragment."
  }

  validation {
    condition     = (var.ingest.security_group_id != null) != (length(var.ingest.cidr_blocks) > 0)
    error_message = "ingest names either security_group_id or cidr_blocks: tasks may send load there and nowhere else."
  }

  validation {
    condition     = try(tonumber(regex("^https?://[^/]+:([0-9]+)", var.ingest.url)[0]), 80) <= 65535
    error_message = "ingest.url names a port, 1 to 65535."
  }

  validation {
    condition     = !can(regex("/v1(/ingest(/push)?)?/?$", var.ingest.url))
    error_message = "ingest.url is the address alone: the load adds the route /v1/ingest/push itself, and given twice every event is answered 404."
  }

  validation {
    condition     = var.ingest.security_group_id == null || try(startswith(var.ingest.security_group_id, "sg-"), false)
    error_message = "ingest.security_group_id is a security group, sg-..."
  }

  validation {
    condition     = alltrue([for block in var.ingest.cidr_blocks : can(cidrnetmask(block))])
    error_message = "ingest.cidr_blocks are IPv4 blocks, such as 10.0.0.0/16."
  }
}

# What may be said

variable "run_control_prefix" {
  description = "Where in the bucket leases and the authoritative evidence lie. Null is evidence/{environment}/run_control."
  type        = string
  default     = null

  validation {
    condition     = var.run_control_prefix == null || can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", trim(var.run_control_prefix, "/")))
    error_message = "run_control_prefix is a path in the bucket, such as evidence/dev/run_control: letters, digits, _ . = - between single slashes."
  }
}

variable "run_scoped_prefix" {
  description = "Where in the bucket the evidence by scope lies."
  type        = string
  default     = "evidence/runs"
  nullable    = false

  validation {
    condition     = can(regex("^[A-Za-z0-9_.=-]+(/[A-Za-z0-9_.=-]+)*$", trim(var.run_scoped_prefix, "/")))
    error_message = "run_scoped_prefix is a path in the bucket, such as evidence/runs: letters, digits, _ . = - between single slashes."
  }

  validation {
    condition     = var.run_control_prefix == null || try(trim(var.run_scoped_prefix, "/") != trim(var.run_control_prefix, "/"), true)
    error_message = "run_scoped_prefix and run_control_prefix are two places: each holds the documents of a run, so that they can be compared."
  }
}

variable "object_lock" {
  description = "What the bucket locks by itself: every object, from its creation, for so many days. A lock of GOVERNANCE can be lifted by whoever may, once the bucket's policy is gone, which denies it; one of COMPLIANCE by nobody, not even the account's owner. Null for none; a plan may still lock its own documents."
  type = object({
    mode = string
    days = number
  })
  default = { mode = "GOVERNANCE", days = 30 }

  validation {
    condition     = var.object_lock == null || try(contains(["GOVERNANCE", "COMPLIANCE"], var.object_lock.mode) && var.object_lock.days >= 1 && floor(var.object_lock.days) == var.object_lock.days, false)
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
  default  = {}
  nullable = false

  validation {
    condition     = contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.task.cpu)
    error_message = "task.cpu is a size Fargate has: 256, 512, 1024, 2048, 4096, 8192 or 16384."
  }

  validation {
    condition     = contains(["X86_64", "ARM64"], var.task.architecture)
    error_message = "task.architecture is X86_64 or ARM64."
  }

  validation {
    condition = try(
      contains({
        256   = [512, 1024, 2048]
        512   = range(1024, 4097, 1024)
        1024  = range(2048, 8193, 1024)
        2048  = range(4096, 16385, 1024)
        4096  = range(8192, 30721, 1024)
        8192  = range(16384, 61441, 4096)
        16384 = range(32768, 122881, 8192)
      }[var.task.cpu], var.task.memory),
    !contains([256, 512, 1024, 2048, 4096, 8192, 16384], var.task.cpu))
    error_message = "task.memory is a size that Fargate has with this task.cpu, in MiB: for 1024, 2048 to 8192 by the 1024; twice to eight times the cpu fits every size but the two largest."
  }
}

variable "stop_grace_seconds" {
  description = "The longest budget.stop_grace of the plans. A container gets a second more between TERM and KILL, so that the guard's own KILL comes first."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = var.stop_grace_seconds >= 1 && var.stop_grace_seconds <= 119 && floor(var.stop_grace_seconds) == var.stop_grace_seconds
    error_message = "stop_grace_seconds is a whole number, 1 to 119: Fargate waits at most 120 s after TERM."
  }
}

variable "longest_run_seconds" {
  description = "How long the lifespan container lets a task live to which no run gave a budget of its own."
  type        = number
  default     = 5400
  nullable    = false

  validation {
    condition     = var.longest_run_seconds >= 60
    error_message = "longest_run_seconds is at least 60."
  }
}

variable "log_retention_days" {
  description = "How long the logs of tasks are kept, in days: one of the figures CloudWatch Logs knows."
  type        = number
  default     = 30
  nullable    = false

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653, 0], var.log_retention_days)
    error_message = "log_retention_days is a figure CloudWatch Logs knows: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288 or 3653; 0 keeps them for ever."
  }
}

variable "https_cidr_blocks" {
  description = "Where tasks reach AWS's APIs over HTTPS. Everywhere by default, because without VPC endpoints their addresses change; the VPC's own block where there are interface endpoints for all of them (a gateway endpoint of S3 is reached at public addresses)."
  type        = list(string)
  default     = ["0.0.0.0/0"]
  nullable    = false

  validation {
    condition     = length(var.https_cidr_blocks) > 0 && alltrue([for block in var.https_cidr_blocks : can(cidrnetmask(block))])
    error_message = "https_cidr_blocks is at least one IPv4 block, such as 0.0.0.0/0: tasks that do not reach AWS's APIs cannot start."
  }
}

variable "secrets_kms_key_arns" {
  description = "Customer keys with which the secrets are encrypted, so that the execution role may decrypt them. Empty where they are under AWS's own keys."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.secrets_kms_key_arns : can(regex("^arn:[a-z-]+:kms:[a-z0-9-]+:[0-9]{12}:key/.+$", arn))])
    error_message = "secrets_kms_key_arns are ARNs of KMS keys, arn:aws:kms:REGION:ACCOUNT:key/ID: not of aliases, which IAM does not know."
  }
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
  description = "ECS services of the system under load that plans may scale, roll and restart, and that are always put back."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.service_arns : can(regex("^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:service/[^/*]+/[^/*]+$", arn))])
    error_message = "service_arns are ARNs of ECS services with their cluster, arn:aws:ecs:REGION:ACCOUNT:service/CLUSTER/NAME."
  }
}

variable "service_role_arns" {
  description = "Roles that the task definitions of those services name; with them plans may roll a service to a revision with variables of their own."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.service_role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/.+$", arn))])
    error_message = "service_role_arns are ARNs of roles, arn:aws:iam::ACCOUNT:role/NAME."
  }
}

variable "one_shots" {
  description = "One-shot tasks that plans may run before or after a burst: their task definitions, without revision, and the roles those definitions name."
  type = object({
    task_definition_arns = optional(list(string), [])
    role_arns            = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition     = alltrue([for arn in var.one_shots.task_definition_arns : can(regex("^arn:[a-z-]+:ecs:[a-z0-9-]+:[0-9]{12}:task-definition/[A-Za-z0-9_-]+$", arn))])
    error_message = "one_shots.task_definition_arns are ARNs without a revision, arn:aws:ecs:REGION:ACCOUNT:task-definition/FAMILY."
  }

  validation {
    condition     = alltrue([for arn in var.one_shots.role_arns : can(regex("^arn:[a-z-]+:iam::[0-9]{12}:role/.+$", arn))])
    error_message = "one_shots.role_arns are ARNs of roles, arn:aws:iam::ACCOUNT:role/NAME."
  }
}

variable "trusted" {
  description = "Who may take on the roles for people and pipelines, by ARN. An empty list leaves it to the IAM policies of this account."
  type = object({
    controller = optional(list(string), [])
    consumer   = optional(list(string), [])
    prune      = optional(list(string), [])
  })
  default  = {}
  nullable = false

  validation {
    condition = alltrue([
      for arn in flatten(values(var.trusted)) : can(regex("^arn:[a-z-]+:(iam|sts)::[0-9]{12}:(root|user/.+|role/.+|assumed-role/.+)$", arn))
    ])
    error_message = "trusted names roles, users or accounts by ARN, arn:aws:iam::ACCOUNT:role/NAME; never everybody."
  }
}

variable "alarm_actions" {
  description = "What the alarms notify, such as an SNS topic. Without any, an alarm is seen only by whoever looks."
  type        = list(string)
  default     = []
  nullable    = false

  validation {
    condition     = alltrue([for arn in var.alarm_actions : startswith(arn, "arn:")])
    error_message = "alarm_actions are ARNs, such as of an SNS topic."
  }
}
