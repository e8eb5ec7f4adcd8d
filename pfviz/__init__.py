"""pfviz: a terminal laboratory for Linux page-fault locking."""

__version__ = "0.1.0"
