"""Left-overs in a cloud, found by the marks that they bear: also where the journal is lost.

::

    Cloud ──► finding: Thing… ──► sorting: Verdict… ──► removing
                                     ▲
           what the journal knows ───┘  (as values: nothing here reads one)
"""

from upgrade_flows.gc.finding import find
from upgrade_flows.gc.removing import remove
from upgrade_flows.gc.sorting import Known, Standing, Verdict, sort
from upgrade_flows.gc.things import Kind, Thing

__all__ = ["Kind", "Known", "Standing", "Thing", "Verdict", "find", "remove", "sort"]
