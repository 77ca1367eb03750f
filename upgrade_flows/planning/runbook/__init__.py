"""A plan as Markdown that a human can follow by hand, with nothing but the usual clients."""

from __future__ import annotations

from collections.abc import Callable

import jinja2

from upgrade_flows.model.plan import Action, Plan
from upgrade_flows.planning.runbook import capture, host_upgrade, live_update, recreate
from upgrade_flows.planning.runbook.step import HandStep, plain

__all__ = ["HandStep", "markdown"]

Steps = Callable[[Action], list[HandStep]]

#: the steps of an action, by capability; that of host upgrades needs the whole plan
STEPS: dict[str, Steps] = {
    "capture": capture.steps_of,
    "live_update": live_update.steps_of,
    "recreate": recreate.steps_of,
}


def markdown(plan: Plan) -> str:
    """Return the runbook of a plan."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("upgrade_flows.planning"),
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        autoescape=False,  # noqa: S701 - Markdown, not HTML
    )
    environment.filters["plain"] = plain
    rolls = bool(plan.schedule)
    template = environment.get_template("runbook_hosts.md.j2" if rolls else "runbook.md.j2")
    steps = host_upgrade.Book(plan).steps_of if rolls else STEPS[plan.request.capability]
    times = host_upgrade.times(plan) if rolls else {}
    return template.render(plan=plan, steps_of=steps, times=times).strip() + "\n"
