"""One plan in a process of its own: CPU seconds and memory, as a JSON line."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from tests.bench.rolling.cases import rules_for
from tests.bench.rolling.clouds import Recipe, cloud
from upgrade_flows.planning.rolling import plan


def peak_kib() -> int:
    """Return the most memory that this program has had (getrusage counts its parent's too)."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    return 0


def main() -> None:
    """Plan one cloud of as many hosts as the argument says, in one variant."""
    hosts = int(sys.argv[1])
    fleet = cloud(Recipe(hosts, 0.6, "small"))
    rules = rules_for(hosts, 0.05)
    began = time.process_time()
    roll = plan(fleet, rules, variant=0)
    cpu = time.process_time() - began
    rss = peak_kib() / 1024
    found = {"cpu_s": cpu, "rss_mib": rss, "instances": len(fleet.instances), "gap": roll.gap}
    print(json.dumps(found))


if __name__ == "__main__":
    main()
