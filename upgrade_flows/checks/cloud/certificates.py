"""Certificates of the catalogue's endpoints that end soon."""

from __future__ import annotations

import datetime
from collections.abc import Iterable
from urllib.parse import urlsplit

from upgrade_flows.checks.base import Check, NothingToLookAt, Sources, each
from upgrade_flows.cloud.api import Endpoint
from upgrade_flows.model.check import Rule
from upgrade_flows.model.report import Finding, Severity

DAY_S = 86400

EXPIRY = Rule(
    "UF-CL-040",
    "the certificate of an endpoint ends soon, or has ended",
    Severity.WARNING,
    "When it has ended, services do not trust each other any more, and neither do clients. In the"
    " middle of an upgrade that looks like the upgrade's fault.",
    "Renew the certificate before the upgrade.",
)


class Certificates(Check):
    """Looks at the certificates of all https endpoints."""

    area = "cloud"
    title = "certificates of the endpoints"
    rules = (EXPIRY,)

    def run(self, sources: Sources) -> Iterable[Finding]:
        """Ask each server once, whatever endpoints it has."""
        places: dict[str, list[Endpoint]] = {}
        for endpoint in sources.cloud.endpoints():
            parts = urlsplit(endpoint.url)
            if parts.scheme == "https":
                places.setdefault(f"{parts.hostname}:{parts.port or 443}", []).append(endpoint)
        if not places:
            raise NothingToLookAt("no endpoint of the catalogue is https")
        return each(sorted(places.items()), lambda place: look(sources, *place))


def look(sources: Sources, place: str, endpoints: list[Endpoint]) -> list[Finding]:
    """Return a finding if the certificate of one server ends soon."""
    shown = sources.cloud.certificate(endpoints[0].url)
    left = shown.expires - sources.cloud.clock.time()
    if left > sources.limits.certificate_days * DAY_S:
        return []
    day = datetime.datetime.fromtimestamp(shown.expires, datetime.UTC)
    services = sorted({f"{one.service} ({one.interface})" for one in endpoints})
    when = f"ends on {day:%Y-%m-%d}, in {int(left // DAY_S)} days" if left > 0 else (
        f"has ended on {day:%Y-%m-%d}"
    )  # fmt: skip
    return [
        EXPIRY.found(
            place,
            f"the certificate of {place} {when}: {', '.join(services)}",
            severity="" if left > 0 else Severity.ERROR,
            subject_name=shown.subject,
            issuer=shown.issuer,
            expires=day.isoformat(),
            endpoints=[one.url for one in endpoints],
        )
    ]
