"""Hosts of the in-memory cloud: what they have installed is a word, and takes effect at a boot."""

from __future__ import annotations

from typing import Any

from taskflow import flow
from taskflow.patterns import graph_flow

from upgrade_flows import errors
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.plugins.base import HostPlugin
from upgrade_flows.steps.base import Context, Step, undo

SOFTWARE = "lab-kernel"


class SimulatedHosts(HostPlugin):
    """Works on the hosts of a ``FakeCloud``.  Settings: ``release``, the one that is wanted.

    It is no entry point: whoever simulates makes one for the cloud in question.

    :param reboots: whether a release takes effect at the next boot; otherwise at once.
    """

    def __init__(self, cloud: FakeCloud, reboots: bool = True) -> None:
        self.cloud, self.reboots = cloud, reboots

    def check(self, settings: dict[str, Any]) -> None:
        if set(settings) != {"release"}:
            raise errors.RequestError("settings of simulated hosts: release, and nothing else")

    def look(self, host: str, settings: dict[str, Any]) -> dict[str, Any]:
        try:
            installed, runs = self.cloud.software(host)
            return {
                "boot_id": self.cloud.boot_id(host),
                "kernel": runs,
                "packages": {SOFTWARE: installed},
                "time_synchronized": True,
            }
        except errors.Unavailable as exc:
            raise errors.HostUnreachable(str(exc)) from exc

    def missing(self, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        wanted = settings["release"]
        found = []
        if facts["packages"][SOFTWARE] != wanted:
            found.append(f"{SOFTWARE} {facts['packages'][SOFTWARE]} is installed, not {wanted}")
        if facts["kernel"] != wanted and self.reboots:
            found.append(f"{facts['kernel']} runs, not {wanted}")
        return found

    def refusals(self, host: str, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        return []

    def upgrade(self, ctx: Context, host: str, settings: dict[str, Any]) -> flow.Flow:
        step = InstallRelease(ctx, host, self.cloud, settings["release"])
        return graph_flow.Flow(f"install:{host}").add(step)

    def wants_reboot(
        self, settings: dict[str, Any], before: dict[str, Any], now: dict[str, Any]
    ) -> bool:
        return self.reboots and bool(now["packages"][SOFTWARE] != now["kernel"])

    def reboot(self, host: str, settings: dict[str, Any]) -> None:
        self.cloud.reboot_host(host)


class InstallRelease(Step):
    """Install a release on a host, which takes as long as the cloud says (``host.install``).

    Reverted by installing the one that was there.
    """

    def __init__(self, ctx: Context, host: str, cloud: FakeCloud, release: str) -> None:
        super().__init__(ctx, host)
        self.cloud, self.release = cloud, release

    def execute(self, facts: dict[str, Any]) -> None:
        try:
            self.cloud.clock.sleep(self.cloud.world.takes("host.install", self.subject))
            self.cloud.install(self.subject, self.release)
        except errors.Unavailable as exc:
            raise errors.HostUnreachable(str(exc)) from exc

    def revert(self, facts: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self.cloud.install, self.subject, facts["packages"][SOFTWARE])
