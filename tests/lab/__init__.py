"""A real OpenStack on one machine, for the tests: see ``python -m tests.lab --help``."""
