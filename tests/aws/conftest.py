"""Fixtures of the AWS adapters' tests: the session's simulated AWS."""

from tests.fixtures_aws import cloud, simulated_aws

__all__ = ["cloud", "simulated_aws"]
