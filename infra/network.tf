# One security group for every task of burst. Nothing reaches in, but for tasks that join a Locust master; it reaches the ingest, the database and AWS's APIs.

resource "aws_security_group" "tasks" {
  name        = "${local.name}-tasks"
  description = "burst tasks: to the ingest, the receipts database and the AWS APIs"
  vpc_id      = var.vpc_id

  tags = { Name = "${local.name}-tasks" }
}

resource "aws_vpc_security_group_egress_rule" "ingest_group" {
  count = var.ingest.security_group_id == null ? 0 : 1

  security_group_id            = aws_security_group.tasks.id
  referenced_security_group_id = var.ingest.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = local.ingest_port
  to_port                      = local.ingest_port

  tags = { Name = "the load" }
}

resource "aws_vpc_security_group_egress_rule" "ingest_blocks" {
  for_each = toset(var.ingest.cidr_blocks)

  security_group_id = aws_security_group.tasks.id
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = local.ingest_port
  to_port           = local.ingest_port

  tags = { Name = "the load" }
}

resource "aws_vpc_security_group_egress_rule" "postgres" {
  security_group_id            = aws_security_group.tasks.id
  referenced_security_group_id = var.postgres.security_group_id
  ip_protocol                  = "tcp"
  from_port                    = var.postgres.port
  to_port                      = var.postgres.port

  tags = { Name = "counting receipts" }
}

resource "aws_vpc_security_group_egress_rule" "https" {
  # A rule of the load to the same block and port would be the same rule, which EC2 refuses to have twice.
  for_each = toset([for block in var.https_cidr_blocks : block if !(local.ingest_port == 443 && contains(var.ingest.cidr_blocks, block))])

  security_group_id = aws_security_group.tasks.id
  cidr_ipv4         = each.key
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443

  tags = { Name = "the AWS APIs" }
}

# Between tasks, where a plan says load.topology: distributed: the workers join the master beside the first task.

resource "aws_vpc_security_group_egress_rule" "master" {
  count = var.distributed ? 1 : 0

  security_group_id            = aws_security_group.tasks.id
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = local.master_port
  to_port                      = local.master_port

  tags = { Name = "workers to their master" }
}

resource "aws_vpc_security_group_ingress_rule" "master" {
  count = var.distributed ? 1 : 0

  security_group_id            = aws_security_group.tasks.id
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = local.master_port
  to_port                      = local.master_port

  tags = { Name = "workers to their master" }
}

# The other half of each way, in the groups that are there already.

resource "aws_vpc_security_group_ingress_rule" "postgres" {
  security_group_id            = var.postgres.security_group_id
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = var.postgres.port
  to_port                      = var.postgres.port

  tags = { Name = "burst counts receipts (${local.name})" }
}

resource "aws_vpc_security_group_ingress_rule" "ingest" {
  count = var.ingest.security_group_id == null ? 0 : 1

  security_group_id            = var.ingest.security_group_id
  referenced_security_group_id = aws_security_group.tasks.id
  ip_protocol                  = "tcp"
  from_port                    = local.ingest_port
  to_port                      = local.ingest_port

  tags = { Name = "the load of burst (${local.name})" }
}
