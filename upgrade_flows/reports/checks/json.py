"""What checks have found, as JSON that says everything."""

from __future__ import annotations

import json

from upgrade_flows.model import codec
from upgrade_flows.model.check import CheckReport


def text(report: CheckReport) -> str:
    """Return the report as JSON; days are written as ``2026-12-31``."""
    plain = {
        "taken_at": report.taken_at,
        "areas": list(report.areas),
        "exit_code": report.exit_code,
        "findings": codec.to_plain(report.findings),
        "waived": [
            {
                "finding": codec.to_plain(item.finding),
                "owner": item.waiver.owner,
                "reason": item.waiver.reason,
                "expires": item.waiver.expires.isoformat(),
            }
            for item in report.waived
        ],
        "checks": [
            {
                "area": one.area,
                "name": one.name,
                "state": str(one.state),
                "why": one.why,
                "seconds": round(one.seconds, 3),
                "found": len(one.findings),
            }
            for one in report.results
        ],
    }
    return json.dumps(plain, indent=2, ensure_ascii=False) + "\n"
