"""Scenario files: strict TOML in, a world of tasks ready to run out."""
