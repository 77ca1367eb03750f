"""The contract of each kind of plugin: refuse with a reason, or contribute a flow."""

from __future__ import annotations

import abc
from dataclasses import dataclass, field
from typing import Any

from taskflow import flow

from upgrade_flows.errors import StepFailed
from upgrade_flows.model.inventory import Agent, Image, Port, Server, Volume
from upgrade_flows.plugins.guest import Guest as Guest
from upgrade_flows.plugins.guest import GuestNic as GuestNic
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


class HostPlugin(abc.ABC):
    """One way to work on compute hosts: how they are looked at, upgraded and rebooted.

    ``host`` is always the name of a compute host as Nova has it; ``settings`` is the plain JSON
    object that the operator gave for this plugin, the same for all hosts of a plan.  It is kept
    in plan and journal, so no secret may be in it.  Every method but ``check`` may raise
    ``HostError``, and ``HostUnreachable`` where the host does not answer.
    """

    @abc.abstractmethod
    def check(self, settings: dict[str, Any]) -> None:
        """Refuse settings that cannot be understood; no host is asked.

        :raises RequestError: names every key that is unknown, missing or of the wrong kind.
        """

    @abc.abstractmethod
    def look(self, host: str, settings: dict[str, Any]) -> dict[str, Any]:
        """Return what a host is now, as plain JSON; nothing is changed.

        ``boot_id`` must be there, and be another one after every boot.  What is known of
        these goes by these names: ``kernel`` (the release that runs), ``packages`` (versions
        by name, of those that the settings are about), ``kernels`` (installed releases),
        ``modules`` (out-of-tree kernel modules: ``{name: [releases that it is built for]}``),
        ``hugepages`` (pages by size in KiB), ``vfs`` (SR-IOV functions by interface),
        ``time_synchronized`` (a bool), ``cpu_utilization`` and ``memory_utilization`` (shares
        from 0 to 1).  Anything else is kept and shown.
        """

    @abc.abstractmethod
    def missing(self, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        """Return in which respects a host, by its facts, is not yet what the settings want.

        Each in words for people ("kernel 6.1 runs, 6.12 is wanted"); empty where nothing is
        left to do.  Pure: facts in, words out.
        """

    @abc.abstractmethod
    def refusals(self, host: str, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        """Return why the upgrade of a host would fail, asked before anything is touched.

        For example: the package source does not have the wanted version, an out-of-tree module
        does not build for the wanted kernel, the disk is full.  Nothing is changed.
        """

    @abc.abstractmethod
    def upgrade(self, ctx: Context, host: str, settings: dict[str, Any]) -> flow.Flow:
        """Build the flow that brings an empty host to what the settings want, without a reboot.

        Pure, and closed but for the symbol ``facts`` (what ``look`` said before).  Each step can
        run again after a crash, and its revert brings back what was there before.
        """

    @abc.abstractmethod
    def wants_reboot(
        self, settings: dict[str, Any], before: dict[str, Any], now: dict[str, Any]
    ) -> bool:
        """Whether what was changed takes effect at the next boot only; pure."""

    @abc.abstractmethod
    def reboot(self, host: str, settings: dict[str, Any]) -> None:
        """Ask a host to reboot; return when it has taken the order, or is gone already."""


@dataclass(frozen=True)
class HostLoad:
    """What a placement policy knows of a host that could take an instance.

    :param capacity: and ``used`` by Placement resource class; ratio and reserved are counted.
    :param utilization: measured shares from 0 to 1 of ``cpu`` and ``memory``, where known.
    """

    name: str
    capacity: dict[str, int] = field(default_factory=dict)
    used: dict[str, int] = field(default_factory=dict)
    utilization: dict[str, float] = field(default_factory=dict)


class PlacementPlugin(abc.ABC):
    """One policy that says which of the hosts that could take an instance should."""

    @abc.abstractmethod
    def cost(self, host: HostLoad, demand: dict[str, int]) -> float:
        """Return how little an instance of ``demand`` is wanted on a host that has room for it.

        The host with the least cost takes it.  Pure.
        """

    def lacks(self, host: HostLoad) -> str | None:
        """Return what the policy would have to know of a host and does not, or None."""
        return None


class WorkloadPlugin(abc.ABC):
    """One way to move what runs in an instance (the original) to another one (the surrogate).

    In order: ``refusals`` of both, ``update`` where the boot disk is updated offline, ``ready``,
    ``prepare``, ``quiesce``; volumes and ports move; ``resume``.  The way back is ``withdraw``,
    volumes and ports move back, ``restore``.  ``settings`` is the plain JSON object that the
    operator gave; it is kept in plan and journal, so no secret may be in it.  So are the notes
    that the methods return: each later method gets those of all earlier ones, in one object.

    Methods that are given a guest can be called again after a crash, end within a time of their
    own, and raise ``HostError``, ``HostUnreachable`` or ``StepFailed`` with a message that says
    which guest, what was asked, and the end of what it answered.
    """

    @abc.abstractmethod
    def check(self, settings: dict[str, Any]) -> None:
        """Refuse settings that cannot be understood; nobody is asked.

        :raises RequestError: names every key that is unknown, missing or of the wrong kind.
        """

    @abc.abstractmethod
    def cut(self, settings: dict[str, Any], has_data_volumes: bool) -> str:
        """Return how the original is cut off; pure.

        ``hot``: it works on until ``quiesce``, which quiets it and lets go of its volumes.
        ``cold``: it has to be stopped before its volumes and ports move; ``quiesce`` is called
        before that.
        """

    def needs_ssh(self, settings: dict[str, Any]) -> bool:
        """Whether it has to reach the guests by ssh; pure."""
        return False

    def updates(self, settings: dict[str, Any]) -> bool:
        """Whether it can update a boot disk offline; pure."""
        return False

    def reboots(self, settings: dict[str, Any]) -> bool:
        """Whether a guest has to be booted anew when volumes and interfaces have come to it; pure.

        Otherwise the plugin brings up what is plugged into a running guest, or the guest does.
        """
        return False

    def resume_waits(self, settings: dict[str, Any]) -> bool:
        """Whether ``resume`` waits in the guest for volumes and interfaces; pure.

        Then it is called while they are on their way, and again if it fails by then.
        """
        return False

    @abc.abstractmethod
    def refusals(self, guest: Guest, settings: dict[str, Any]) -> list[str]:
        """Return what of a guest cannot be carried, before anything is touched; it only reads."""

    def run(self, guest: Guest, settings: dict[str, Any], command: str, timeout_s: float) -> str:
        """Run a probe's shell command in a guest and return what it said.

        :raises HostError: it failed; also if this plugin has no way into the guest.
        """
        raise StepFailed(f"{guest}: the settings of its workload do not say how it is reached")

    def update(self, guest: Guest, settings: dict[str, Any], device: str) -> None:
        """Update the clone of the boot disk, which is plugged into the original as ``device``."""
        raise StepFailed(f"{guest}: its workload plugin does not update boot disks")

    def ready(self, guest: Guest, settings: dict[str, Any]) -> None:  # noqa: B027
        """Make sure that the surrogate is fit to take over."""

    def prepare(
        self, original: Guest, surrogate: Guest, settings: dict[str, Any]
    ) -> dict[str, Any]:
        """Do all that can be done while the original serves; return notes."""
        return {}

    @abc.abstractmethod
    def quiesce(
        self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any]:
        """Stop serving, flush, and let go of the data volumes; return more notes."""

    @abc.abstractmethod
    def resume(self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        """Serve from the surrogate: volumes and interfaces have come to it."""

    @abc.abstractmethod
    def withdraw(
        self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any] | None:
        """Undo ``resume``: what runs there stops and lets go; return more notes.

        It is also called where ``resume`` has failed half-way, or was never called.
        """

    @abc.abstractmethod
    def restore(self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        """Undo ``quiesce``: volumes and interfaces are at the original again.

        It is also called where ``quiesce`` has failed half-way, or was never called.
        """
