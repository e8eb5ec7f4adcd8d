"""The simulator: time, CPUs, cache lines, tasks, steps and events. It has never heard of memory."""
