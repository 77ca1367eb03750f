"""How busy hosts are, asked of themselves, for the policies that place by it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from typing import Any

from upgrade_flows import errors
from upgrade_flows.flows.capability import Tell
from upgrade_flows.flows.live_update.options import Options
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.steps.base import Plugins

WORKERS = 8


def look(request: UpgradeRequest, inventory: Inventory, plugins: Plugins, tell: Tell) -> Inventory:
    """Ask all hosts that take instances, where the operator said by which host plugin.

    A host that does not answer is one of which nothing is known; ``assess`` says so if a policy
    would have to know it.

    :raises RequestError: there is no such host plugin, or its settings are wrong.
    """
    measure = Options.read(request.target.options).measure
    if not measure:
        return inventory
    name, settings = str(measure["plugin"]), dict(measure["settings"])
    if name not in plugins.host:
        known = ", ".join(sorted(plugins.host)) or "none is installed"
        raise errors.RequestError(f"measure: there is no host plugin {name!r} (known: {known})")
    plugin = plugins.host[name]
    facts: dict[str, dict[str, Any]] = {}

    def ask(host: str) -> None:
        with suppress(errors.HostError):
            facts[host] = plugin.look(host, settings)

    hosts = [host.name for host in inventory.hosts if host.up and host.enabled]
    with ThreadPoolExecutor(WORKERS, thread_name_prefix="look") as pool:
        list(pool.map(ask, hosts))
    tell(f"how busy {len(facts)} of {len(hosts)} hosts are")
    return replace(inventory, facts={**inventory.facts, **facts})
