"""Scenarios that ship with pfviz, one TOML file each; installed as `pfviz.bundled`."""
