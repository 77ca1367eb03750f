"""All checks of one cloud in a process of its own: seconds and memory, as a JSON line."""

from __future__ import annotations

import datetime
import gc
import json
import sys
import tempfile
import time
from pathlib import Path

from tests.bench.checking import databases, scene
from tests.bench.rolling.cost import peak_kib
from upgrade_flows import checks
from upgrade_flows.checks.database import access


def main() -> None:
    """Check a cloud of as many hosts as the argument says."""
    hosts = int(sys.argv[1])
    cloud = scene.well(hosts)
    planted = scene.plant(cloud, hosts)
    now = cloud.clock.time()
    at = datetime.datetime.fromtimestamp(now, datetime.UTC).strftime("%Y-%m-%d %H:%M:%S")
    with tempfile.TemporaryDirectory() as folder:
        urls = databases.make(Path(folder), hosts, at)
        planted |= databases.plant(urls)
        opened = access.open_all(urls)
        gc.collect()
        gc.freeze()  # the cloud stands for services elsewhere, which are not ours to collect
        before = peak_kib() / 1024
        began, began_cpu = time.perf_counter(), time.process_time()
        report = checks.gate(checks.Sources(cloud, opened, "2025.1", now=now))
        seconds, cpu = time.perf_counter() - began, time.process_time() - began_cpu
    found = {(one.id, one.subject) for one in report.findings}
    print(
        json.dumps(
            {
                "seconds": seconds,
                "cpu_s": cpu,
                "rss_mib": peak_kib() / 1024,
                "before_mib": before,
                "planted": len(planted),
                "found": len(planted & found),
                "missed": sorted(planted - found)[:20],
                "false_alarms": sorted(found - planted)[:20],
                "alarms": len(found - planted),
                "failed": [f"{one.name}: {one.why}" for one in report.failed],
                "skipped": [one.name for one in report.skipped],
                "checks": {one.name: round(one.seconds, 2) for one in report.results},
            }
        )
    )


if __name__ == "__main__":
    main()
