"""Playing the plan of a rolling upgrade through on a cloud in memory: what if things go wrong?

::

    Plan ──► scene: a cloud in memory like the plan's, and the plan for that cloud
               │      faults: which migrations and hosts will fail, drawn from a seed
               ▼
             course: the engine, the flows and a journal at work, in simulated time
               │
               ▼
             measure ──► SimulationReport
"""

from upgrade_flows.simulation.faults import WhatIf
from upgrade_flows.simulation.play import simulate
from upgrade_flows.simulation.report import Peak, SimulationReport, Unmoved

__all__ = ["Peak", "SimulationReport", "Unmoved", "WhatIf", "simulate"]
