"""Whether the token of the one who runs a plan lasts as long as the run will take."""

from __future__ import annotations

from upgrade_flows.cloud.api import Cloud
from upgrade_flows.errors import NotReady
from upgrade_flows.model.plan import Plan
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.reports import words

#: capabilities whose changes take long, and that must not lose their way in half-way
LONG = ("live_update", "capture")


def check(cloud: Cloud, plan: Plan) -> None:
    """Make sure that we are let in until a plan has been carried out.

    :raises NotReady: the token ends before that, and no other can be got without its owner.
    """
    if plan.request.capability not in LONG or not plan.actions:
        return
    credentials = cloud.credentials()
    if credentials.renewable or credentials.expires is None:
        return
    left = max(0.0, credentials.expires - cloud.clock.time())
    needed = words.plan_seconds(plan)
    if left >= needed:
        return
    said = (
        f"the token is good for {words.seconds(left)} more, the plan is predicted to take"
        f" {words.seconds(needed)}, and a token alone cannot be renewed"
    )
    finding = Finding(
        id="UF-LU-040",
        subject="credentials",
        severity=Severity.ERROR,
        message=said,
        remedy="use a password or an application credential in clouds.yaml, or a newer token",
    )
    raise NotReady(f"plan {plan.id} cannot run: {said}", [finding])
