"""The contract of each kind of plugin: refuse with a reason, or contribute a flow."""

from __future__ import annotations

import abc
from dataclasses import dataclass

from taskflow import flow

from upgrade_flows.model.inventory import Agent, Image, Port, Server, Volume
from upgrade_flows.steps.base import Context


@dataclass(frozen=True)
class VifMode:
    """How a port is plugged into its host.

    :param kind: the backend's own word for it: ``ovs``, ``ovs-hybrid``, ``dpdkvhostuser``,
        ``dpdkvhostuserclient``...
    :param facts: what else must agree between port and host, as pairs (bridge, socket_dir).
    """

    kind: str
    facts: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        said = ", ".join(f"{key}={value}" for key, value in self.facts)
        return f"{self.kind} ({said})" if said else self.kind


class NetworkPlugin(abc.ABC):
    """One network backend: knows the modes of its ports and how to change them.

    Plugins perform nothing themselves: they answer questions about data, and contribute flows.
    """

    @abc.abstractmethod
    def claims(self, port: Port, agent: Agent | None) -> bool:
        """Whether this backend plugs the port (``agent`` is the L2 agent of the port's host)."""

    @abc.abstractmethod
    def bound_mode(self, port: Port) -> VifMode:
        """Return the mode that the port is bound in now."""

    @abc.abstractmethod
    def wanted_mode(self, port: Port, agent: Agent) -> VifMode:
        """Return the mode in which the agent's host would bind the port now."""

    @abc.abstractmethod
    def rebind_refusal(self, port: Port, wanted: VifMode) -> str | None:
        """Return why unbinding and binding the port in place would not do, or None."""

    @abc.abstractmethod
    def live_migration_refusal(self, port: Port, wanted: VifMode) -> str | None:
        """Return why a live migration towards a host in mode ``wanted`` would fail, or None."""


class StoragePlugin(abc.ABC):
    """One kind of disk: knows how an instance's disks survive a re-creation."""

    @abc.abstractmethod
    def claims(self, server: Server, volumes: tuple[Volume, ...], image: Image | None) -> bool:
        """Whether this backend holds the server's root disk (``image`` is what it booted from)."""

    @abc.abstractmethod
    def refusal(self, server: Server, volumes: tuple[Volume, ...]) -> str | None:
        """Return why the root disk cannot be carried into a re-created instance, or None."""

    @abc.abstractmethod
    def carry(self, ctx: Context, server_id: str) -> flow.Flow:
        """Build the flow that makes the root disk available to a replacement.

        The server is stopped when it runs.  It provides ``boot_source``: a dict with either
        ``image`` (an image id, verified active) or ``volumes`` (true: boot from the
        original's own volumes, which are free when it is gone).
        """

    @abc.abstractmethod
    def seconds(self, server: Server, volumes: tuple[Volume, ...]) -> float:
        """Predict how many seconds ``carry`` takes."""
