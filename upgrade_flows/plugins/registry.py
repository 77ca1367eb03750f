"""Load every plugin there is, or refuse to start with all the reasons at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from stevedore import ExtensionManager

from upgrade_flows.errors import PluginError
from upgrade_flows.model.inventory import Agent, Image, Port, Server, Volume
from upgrade_flows.plugins.base import (
    HostPlugin,
    NetworkPlugin,
    PlacementPlugin,
    StoragePlugin,
    WorkloadPlugin,
)

#: entry-point group and contract of each kind
KINDS: dict[str, tuple[str, type]] = {
    "network": ("upgrade_flows.network", NetworkPlugin),
    "storage": ("upgrade_flows.storage", StoragePlugin),
    "host": ("upgrade_flows.host", HostPlugin),
    "placement": ("upgrade_flows.placement", PlacementPlugin),
    "workload": ("upgrade_flows.workload", WorkloadPlugin),
}


@dataclass(frozen=True)
class Registry:
    """The plugins of one process, by kind and name, in the order in which they are asked.

    Where several plugins claim the same thing the library's own come last, and among the
    library's own the more special one first.
    """

    network: Mapping[str, NetworkPlugin]
    storage: Mapping[str, StoragePlugin]
    host: Mapping[str, HostPlugin] = field(default_factory=dict)
    placement: Mapping[str, PlacementPlugin] = field(default_factory=dict)
    workload: Mapping[str, WorkloadPlugin] = field(default_factory=dict)

    def network_of(self, port: Port, agent: Agent | None = None) -> NetworkPlugin | None:
        """Return the plugin whose port it is, or None."""
        return next((p for p in self.network.values() if p.claims(port, agent)), None)

    def storage_of(
        self, server: Server, volumes: tuple[Volume, ...], image: Image | None = None
    ) -> str | None:
        """Return the name of the plugin that holds a server's root disk, or None."""
        for name, plugin in self.storage.items():
            if plugin.claims(server, volumes, image):
                return name
        return None

    def mode_of(self, port: Port) -> str:
        """Return the mode that a port is bound in, in words; its VIF type if none knows it."""
        plugin = self.network_of(port)
        return port.vif_type if plugin is None else str(plugin.bound_mode(port))


def load(groups: Mapping[str, tuple[str, type]] | None = None) -> Registry:
    """Load all plugins of all kinds.

    :raises PluginError: one of them does not import, cannot be made, or does not keep its
        kind's contract; the message holds every reason, not only the first.
    """
    reasons: list[str] = []
    kinds = {
        kind: load_kind(group, contract, reasons)
        for kind, (group, contract) in (groups or KINDS).items()
    }
    if reasons:
        raise PluginError("plugins cannot be used:\n  " + "\n  ".join(reasons))
    return Registry(**kinds)


def load_kind(group: str, contract: type, reasons: list[str]) -> dict[str, Any]:
    """Return the plugins of a group, by name; what is wrong with any is added to ``reasons``."""

    def failed(_: object, entry_point: Any, exc: BaseException) -> None:
        reasons.append(f"{group}: {entry_point.name} ({entry_point.value}) does not load: {exc}")

    found: dict[str, Any] = {}
    manager: Any = ExtensionManager(group, invoke_on_load=False, on_load_failure_callback=failed)
    for extension in sorted(manager, key=lambda e: (_ours(e), -_depth(e.plugin), e.name)):
        if extension.name in found:
            reasons.append(f"{group}: two plugins are called {extension.name}")
            continue
        try:
            plugin = extension.plugin()
        except Exception as exc:
            reasons.append(f"{group}: {extension.name} cannot be made: {exc}")
            continue
        if not isinstance(plugin, contract):
            reasons.append(f"{group}: {extension.name} is no {contract.__name__}")
            continue
        found[extension.name] = plugin
    if not found and not reasons:
        reasons.append(f"{group}: none is installed (is the package installed, not only copied?)")
    return found


def _ours(extension: Any) -> bool:
    return str(extension.entry_point.value).startswith("upgrade_flows.")


def _depth(plugin: Any) -> int:
    return len(getattr(plugin, "__mro__", ()))
