"""What goes wrong in a benchmark."""


class BenchError(Exception):
    """The benchmark cannot measure; says why."""
