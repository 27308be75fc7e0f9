"""What every command of burst reads of botocore before its first call, read once in the process of all forks."""

import boto3.session  # noqa: F401 - imported here to be there in every fork
import botocore.config
import botocore.endpoint
import botocore.handlers
import botocore.session  # noqa: F401 - the same

from burst.kit import aws

_SERVICES = ("ecs", "ec2", "events", "iam", "logs", "s3", "scheduler", "service-quotas", "sts")
_loader = aws._make_description_loader()
for _name in ("endpoints", "partitions", "sdk-default-configuration", "_retry"):
    _loader.load_data(_name)
for _service in _SERVICES:
    for _kind in ("service-2", "endpoint-rule-set-1"):
        _loader.load_service_model(_service, _kind)
