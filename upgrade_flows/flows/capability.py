"""What a capability module offers, and finding it by name."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, cast

from taskflow import flow

from upgrade_flows.cloud.api import Cloud
from upgrade_flows.errors import RequestError
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.plan import Action
from upgrade_flows.model.report import Finding
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.steps.base import Context, Plugins

#: every capability that comes with the library, and the module that satisfies ``Capability``
MODULES = {
    "capture": "upgrade_flows.flows.capture",
    "recreate": "upgrade_flows.flows.recreate",
    "host_upgrade": "upgrade_flows.flows.host_upgrade",
    "live_update": "upgrade_flows.flows.live_update",
}

#: is told in a line what is being read
Tell = Callable[[str], None]


@dataclass(frozen=True)
class Assessment:
    """What a capability makes of a request: what to do, what is refused, what needs nothing."""

    actions: tuple[Action, ...] = ()
    findings: tuple[Finding, ...] = ()
    unchanged: tuple[str, ...] = ()


class Capability(Protocol):
    """A module with these functions; only ``moved`` reads the live cloud, and changes nothing.

    ``rolls`` says that its subjects are compute hosts, and that its plans have a schedule:
    which host when, and where its instances go (``planning.hosts``).  A module that
    chooses hosts for new instances says ``places``.

    ``change`` can be undone everywhere, also after it has finished; ``settle`` deletes what is
    no longer needed, and is only ever retried.  A change that succeeds provides the symbol
    ``outcome``: a dict with ``identity_difference``, ``undeclared``, ``measured_downtime_s``
    and whatever else the report is to show of the subject.
    """

    rolls: bool

    def look(
        self, request: UpgradeRequest, inventory: Inventory, plugins: Plugins, tell: Tell
    ) -> Inventory:
        """Read what else there is to know besides the cloud: of hosts, through their plugins.

        Return the inventory with ``facts`` and ``troubles`` filled in; nothing is changed.
        """

    def assess(self, request: UpgradeRequest, inventory: Inventory, plugins: Plugins) -> Assessment:
        """Work out one action for each subject that needs one."""

    def moved(self, cloud: Cloud, plugins: Plugins, action: Action) -> str | None:
        """Return what is no longer as it was when the action was planned, or None."""

    def change(self, ctx: Context, action: Action) -> flow.Flow:
        """Build the flow that does the action."""

    def settle(self, ctx: Context, action: Action, outcome: dict[str, Any]) -> flow.Flow | None:
        """Build the flow that gives up the way back; None where there is nothing to do."""


def get(name: str) -> Capability:
    """Return the capability of that name.

    :raises RequestError: there is none.
    """
    try:
        module = MODULES[name]
    except KeyError:
        known = ", ".join(sorted(MODULES))
        raise RequestError(f"there is no capability {name!r} (known: {known})") from None
    return cast(Capability, importlib.import_module(module))


def reads(name: str) -> dict[str, bool]:
    """Return what ``cloud.collect`` has to read besides for the capability of that name.

    :raises RequestError: there is none.
    """
    module = get(name)
    places = bool(getattr(module, "places", False))
    return {"traits": module.rolls or places, "all_quotas": places}
