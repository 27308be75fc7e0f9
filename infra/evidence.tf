# The bucket of leases and evidence. Everything in it is written once, but for the three things of a run that live.

resource "aws_kms_key" "evidence" {
  description             = "burst evidence (${var.environment})"
  enable_key_rotation     = true
  deletion_window_in_days = 30
  policy                  = data.aws_iam_policy_document.evidence_key.json
}

resource "aws_kms_alias" "evidence" {
  name          = "alias/${local.name}-evidence"
  target_key_id = aws_kms_key.evidence.key_id
}

data "aws_iam_policy_document" "evidence_key" {
  # Leaves the key to the IAM policies of this account, such as the roles of this module. Without it nobody could
  # change the key any more.
  statement {
    sid       = "AccountDecides"
    actions   = ["kms:*"]
    resources = ["*"]

    principals {
      type        = "AWS"
      identifiers = ["arn:${local.partition}:iam::${local.account}:root"]
    }
  }
}

resource "aws_s3_bucket" "evidence" {
  bucket              = var.evidence_bucket
  object_lock_enabled = true  # which only a new bucket can be given; what it locks by itself is another choice
  force_destroy       = false # a bucket that holds evidence is not destroyed with the rest
}

resource "aws_s3_bucket_versioning" "evidence" {
  bucket = aws_s3_bucket.evidence.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_object_lock_configuration" "evidence" {
  count = var.object_lock == null ? 0 : 1

  bucket = aws_s3_bucket_versioning.evidence.id

  rule {
    default_retention {
      mode = var.object_lock.mode
      days = var.object_lock.days
    }
  }
}

resource "aws_s3_bucket_public_access_block" "evidence" {
  bucket                  = aws_s3_bucket.evidence.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

resource "aws_s3_bucket_ownership_controls" "evidence" {
  bucket = aws_s3_bucket.evidence.id

  rule {
    object_ownership = "BucketOwnerEnforced"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "evidence" {
  bucket = aws_s3_bucket.evidence.id

  rule {
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {
      sse_algorithm     = "aws:kms"
      kms_master_key_id = aws_kms_key.evidence.arn
    }
  }
}

resource "aws_s3_bucket_lifecycle_configuration" "evidence" {
  count = var.old_version_days == null ? 0 : 1

  bucket = aws_s3_bucket_versioning.evidence.id

  # A document has one version, so these are old leases, and what the prune role deleted.
  rule {
    id     = "old-versions"
    status = "Enabled"

    filter {
      prefix = ""
    }

    noncurrent_version_expiration {
      noncurrent_days = var.old_version_days
    }

    abort_incomplete_multipart_upload {
      days_after_initiation = 1
    }
  }
}

resource "aws_s3_bucket_policy" "evidence" {
  bucket = aws_s3_bucket.evidence.id
  policy = data.aws_iam_policy_document.evidence_bucket.json

  depends_on = [aws_s3_bucket_public_access_block.evidence]
}

locals {
  # What a run changes while it lives: its lease, and beside it the marks and records of its tasks.
  living_objects = [for name in ["control.json", "ready/*", "tasks/*"] : "${aws_s3_bucket.evidence.arn}/${local.run_control}/*/${name}"]

  # What stops every run under run control while it stands (`burst halt`).
  halt = "${aws_s3_bucket.evidence.arn}/${local.run_control}/halt.json"

  # The snapshots of every kind of phase. Not every *_snapshot.json: a copy of the prior's is pruned with its run.
  phase_kinds = ["burst", "window", "soak", "recovery", "reproducibility", "drill", "rollup"]
  snapshots   = [for kind in local.phase_kinds : "${aws_s3_bucket.evidence.arn}/*_${kind}_snapshot.json"]
}

data "aws_iam_policy_document" "evidence_bucket" {
  # Nothing about a run travels in the clear.
  statement {
    sid       = "OnlyOverTls"
    effect    = "Deny"
    actions   = ["s3:*"]
    resources = [aws_s3_bucket.evidence.arn, "${aws_s3_bucket.evidence.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }

  # Write-once: an object comes into being only if it is not there. The second condition is AWS's own, and leaves out
  # the calls of a multipart upload that create nothing yet.
  statement {
    sid           = "WrittenOnce"
    effect        = "Deny"
    actions       = ["s3:PutObject"]
    not_resources = local.living_objects

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:if-none-match"
      values   = ["true"]
    }

    condition {
      test     = "Bool"
      variable = "s3:ObjectCreationOperation"
      values   = ["true"]
    }
  }

  # Only the prune role deletes; but a halt is no evidence, and whoever may halt the runs may lift that.
  statement {
    sid           = "OnlyPruneDeletes"
    effect        = "Deny"
    actions       = ["s3:DeleteObject"]
    not_resources = [local.halt]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "ArnNotEquals"
      variable = "aws:PrincipalArn"
      values   = [aws_iam_role.this["prune"].arn]
    }
  }

  # And nobody deletes a snapshot, whose key would then be free for another verdict, or the lease of a run, without which
  # its tasks end.
  statement {
    sid       = "SnapshotsAndLeasesStay"
    effect    = "Deny"
    actions   = ["s3:DeleteObject"]
    resources = concat(local.snapshots, local.living_objects)

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }

  # And it deletes only what it has read: If-Match names the very bytes.
  statement {
    sid       = "PruneNamesTheBytes"
    effect    = "Deny"
    actions   = ["s3:DeleteObject"]
    resources = ["${aws_s3_bucket.evidence.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:if-match"
      values   = ["true"]
    }
  }

  # What was deleted can be had back for as long as old versions are kept; nobody shortens that, or a lock.
  statement {
    sid       = "NothingIsDestroyed"
    effect    = "Deny"
    actions   = ["s3:DeleteObjectVersion", "s3:BypassGovernanceRetention"]
    resources = ["${aws_s3_bucket.evidence.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }
  }

  # Whoever says how to encrypt says it with the key of this bucket. Whoever says nothing gets it by default. A header
  # without a key would mean AWS's own key, so a missing key is refused with the wrong ones.
  statement {
    sid       = "OnlyUnderOurKey"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.evidence.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:x-amz-server-side-encryption"
      values   = ["false"]
    }

    condition {
      test     = "StringNotEquals"
      variable = "s3:x-amz-server-side-encryption-aws-kms-key-id"
      values   = [aws_kms_key.evidence.arn]
    }
  }

  # A key of the caller's own would make evidence that only the caller can read.
  statement {
    sid       = "NoKeyOfTheCaller"
    effect    = "Deny"
    actions   = ["s3:PutObject"]
    resources = ["${aws_s3_bucket.evidence.arn}/*"]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Null"
      variable = "s3:x-amz-server-side-encryption-customer-algorithm"
      values   = ["false"]
    }
  }
}
