"""Benchmarks: what we do against what an operator does by hand, in the same run."""

#: the modules with a function ``run(options)`` (JSON object, failures), and what they do
BENCHMARKS = {
    "recreate": "the published recipe by hand against snapshot and rebind: downtime, wall time",
}
