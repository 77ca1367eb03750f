"""Move a workload by the operator's own commands."""
