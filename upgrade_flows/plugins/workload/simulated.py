"""Workloads of the in-memory cloud: a guest serves, or it does not; from its volumes and ports."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.plugins.base import Guest, WorkloadPlugin


class SimulatedWorkload(WorkloadPlugin):
    """Looks after the guests of a ``FakeCloud``, which keeps what they do (``guests``).

    It is no entry point: whoever simulates makes one for the cloud in question.  A guest cannot
    be asked while it does not run, and does not serve without all that belongs to it.

    :param way: ``hot`` or ``cold``.
    """

    def __init__(self, cloud: FakeCloud, way: str = "hot") -> None:
        self.cloud, self.way = cloud, way

    def check(self, settings: dict[str, Any]) -> None:
        if settings:
            raise errors.RequestError("simulated workloads have no settings")

    def cut(self, settings: dict[str, Any], has_data_volumes: bool) -> str:
        return self.way

    def updates(self, settings: dict[str, Any]) -> bool:
        return True

    def refusals(self, guest: Guest, settings: dict[str, Any]) -> list[str]:
        self._reach(guest)
        return []

    def update(self, guest: Guest, settings: dict[str, Any], device: str) -> None:
        self._reach(guest)

    def ready(self, guest: Guest, settings: dict[str, Any]) -> None:
        self._reach(guest)

    def prepare(
        self, original: Guest, surrogate: Guest, settings: dict[str, Any]
    ) -> dict[str, Any]:
        self._reach(original)
        return {"serves": self._serves(original)}

    def quiesce(
        self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any]:
        self._reach(original)
        self._serve(original, False)
        return {}

    def resume(self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        self._bring_up(surrogate, notes)

    def withdraw(
        self, surrogate: Guest, settings: dict[str, Any], notes: dict[str, Any]
    ) -> dict[str, Any] | None:
        self._serve(surrogate, False)
        return None

    def restore(self, original: Guest, settings: dict[str, Any], notes: dict[str, Any]) -> None:
        self._bring_up(original, notes)

    def _bring_up(self, guest: Guest, notes: dict[str, Any]) -> None:
        if not notes["serves"]:
            return
        self._reach(guest)
        compute, network = self.cloud.direct.compute, self.cloud.direct.network
        held = {one.volume_id for one in compute.attachments(guest.server_id)}
        macs = {port.mac_address for port in network.ports(device_id=guest.server_id)}
        missing = set(guest.volumes) - held | {nic.mac for nic in guest.nics} - macs
        if missing:
            raise errors.HostError(f"{guest} cannot serve without {', '.join(sorted(missing))}")
        self._serve(guest, True)

    def _reach(self, guest: Guest) -> None:
        if self.cloud.direct.compute.server(guest.server_id).power_state != 1:
            raise errors.HostUnreachable(f"{guest} does not run")

    def _serves(self, guest: Guest) -> bool:
        return bool(self.cloud.guests.get(guest.server_id, {}).get("serves"))

    def _serve(self, guest: Guest, serves: bool) -> None:
        self.cloud.guests.setdefault(guest.server_id, {})["serves"] = serves
