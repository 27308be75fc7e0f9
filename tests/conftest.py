"""Settings of the whole suite; what pytest itself can be told stands in pyproject.toml."""

import os

import hypothesis

pytest_plugins = ["tests.fixtures_postgres", "tests.fixtures_aws"]

# CI finds the same examples every time; a failure there can be had again by anyone.
hypothesis.settings.register_profile("ci", deadline=None, derandomize=True, database=None)
hypothesis.settings.register_profile("local", deadline=None)
hypothesis.settings.load_profile("ci" if os.environ.get("CI") else "local")
