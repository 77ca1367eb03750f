"""A report as JSON: everything that is known of a run, for other programs."""

from __future__ import annotations

import json
from typing import Any

from upgrade_flows.model import codec
from upgrade_flows.model.report import Report
from upgrade_flows.reports import residue


def plain(report: Report) -> dict[str, Any]:
    """Return the report as plain JSON; each residue has the ``command`` that removes it."""
    result: dict[str, Any] = codec.to_plain(report)
    for outcome, shown in zip(report.outcomes, result["outcomes"], strict=True):
        for item, entry in zip(outcome.residue, shown["residue"], strict=True):
            entry["command"] = residue.command(item)
    return result


def text(report: Report) -> str:
    """Return the report as indented JSON text."""
    return json.dumps(plain(report), indent=2, sort_keys=True) + "\n"
