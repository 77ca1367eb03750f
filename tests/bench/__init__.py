"""Benchmarks: what we do against what others do, in the same run."""

#: the modules with a function ``run(options)`` (JSON object, failures), and what they do
BENCHMARKS = {
    "recreate": "the published recipe by hand against snapshot and rebind: downtime, wall time",
    "live_update": "a new kernel with a surrogate against the recipe by hand: blackout",
    "durable": "what a step on record costs: ours, TaskFlow's own, DBOS, and INSERT and COMMIT",
    "scale": "ten times the subjects, memory, and a second conductor, on redis and PostgreSQL",
    "hosts": "six hosts of the lab from old to new: a plain script against ours, wall time",
    "checks": "all checks on 10,000 hosts and 200,000 instances: time, memory, what is found",
    "planner": "rolling upgrades of clouds of 100 to 10,000 hosts: makespan, moves, cost",
}
