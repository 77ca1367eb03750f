"""Rolling host upgrades: which host when, and where its instances go.

::

    Fleet, Rules ──► Ground ──► Run ◄── facts: what was moved, what is back
                                 │ decide
                                 ▼
                        Begin, MoveTo, TakeOut, Release

``plan`` plays a run through with predicted durations; ``check`` replays what came of it and
looks for broken constraints.  Among the hosts that can take an instance a placement policy may
choose: ``cost``, a function of a host's load and a demand.
"""

from upgrade_flows.planning.rolling.fleet import (
    Canary,
    Cost,
    Costs,
    Fleet,
    Group,
    Host,
    Instance,
    Limits,
    Rules,
)
from upgrade_flows.planning.rolling.ground import Ground
from upgrade_flows.planning.rolling.result import Bound, Facts, Move, Roll, Window
from upgrade_flows.planning.rolling.run import Begin, MoveTo, Release, Run, TakeOut
from upgrade_flows.planning.rolling.simulate import Reality, plan

__all__ = [
    "Begin", "Bound", "Canary", "Cost", "Costs", "Facts", "Fleet", "Ground", "Group", "Host",
    "Instance", "Limits", "Move", "MoveTo", "Reality", "Release", "Roll", "Rules", "Run", "TakeOut",
    "Window", "plan",
]  # fmt: skip
