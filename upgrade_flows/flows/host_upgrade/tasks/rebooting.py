"""Rebooting a host, and seeing that it came back as what it was meant to become."""

from __future__ import annotations

from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.flows.host_upgrade.drain.evidence import moment
from upgrade_flows.flows.host_upgrade.tasks.base import HostStep
from upgrade_flows.flows.host_upgrade.tasks.emptying import running
from upgrade_flows.steps.base import undo


class RebootOnTheWayBack(HostStep):
    """Do nothing on the way there.

    Reverted, after what was changed on the host has been taken back, by rebooting it if it was
    rebooted since: what runs is to be what is installed.
    """

    def execute(self) -> None:
        return None

    def revert(self, facts: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, self._reboot, facts)

    def _reboot(self, facts: dict[str, Any]) -> None:
        now = wait_for(self, facts["boot_id"], another=False)
        if now["boot_id"] == facts["boot_id"]:
            return
        if not self.plugin.wants_reboot(self.settings, facts, now) and _same(facts, now, "kernel"):
            return
        runs = running(self.ctx.cloud, self.host)
        if runs:
            raise errors.StepFailed(f"{self.host} was not rebooted: {'; '.join(runs)}")
        reboot(self, now["boot_id"])
        await_compute(self, self.ctx.cloud.clock.time())


class RebootHost(HostStep):
    """Reboot the host, if what was changed takes effect only then, or the operator wants it.

    Done when the host answers with another boot id.  Provides ``reboot``: ``rebooted``,
    ``boot_id``, ``seconds``, and ``at``: when it was back, in epoch seconds; what Nova has heard
    before may be from before.  Reverted by waiting until the host answers, so that what was
    changed on it can be taken back; see also ``RebootOnTheWayBack``.
    """

    default_provides = "reboot"

    def execute(self, facts: dict[str, Any]) -> dict[str, Any]:
        clock = self.ctx.cloud.clock
        began = clock.monotonic()
        now = wait_for(self, facts["boot_id"], another=False)
        if now["boot_id"] == facts["boot_id"]:
            if not self._wanted(facts, now):
                return {
                    "rebooted": False, "boot_id": now["boot_id"], "seconds": 0.0,
                    "at": clock.time(),
                }  # fmt: skip
            runs = running(self.ctx.cloud, self.host)
            if runs:
                raise errors.StepFailed(
                    f"{self.host} is not rebooted: {'; '.join(runs)}; move it away or stop it,"
                    " and resume the run"
                )
            now = reboot(self, facts["boot_id"])
        seconds = round(clock.monotonic() - began, 3)
        return {
            "rebooted": True, "boot_id": now["boot_id"], "seconds": seconds, "at": clock.time(),
        }  # fmt: skip

    def revert(self, facts: dict[str, Any], **_: object) -> dict[str, Any] | None:
        return undo(self, wait_for, self, facts["boot_id"], False)

    def _wanted(self, facts: dict[str, Any], now: dict[str, Any]) -> bool:
        if self.options.reboot != "needed":
            return self.options.reboot == "always"
        return self.plugin.wants_reboot(self.settings, facts, now)


class VerifyHost(HostStep):
    """Make sure that the host is what it was to become, and that it lost nothing.

    Nova must have heard of its nova-compute since the reboot, its agents must be alive, its
    hypervisor no older, its hugepages, SR-IOV functions and out-of-tree modules still there.
    Provides ``facts_after``.  Changes nothing, so there is nothing to revert.
    """

    default_provides = "facts_after"

    def execute(
        self, host_before: dict[str, Any], facts: dict[str, Any], reboot: dict[str, Any]
    ) -> dict[str, Any]:
        if reboot["rebooted"]:
            await_compute(self, reboot["at"])
        self._await_agents(host_before["agents"])
        now = self.look()
        wrong = [*self.plugin.missing(self.settings, now), *lost(facts, now)]
        version = self.ctx.cloud.compute.hypervisor(self.host).version
        was = host_before["hypervisor_version"]
        if version < was:
            wrong.append(
                f"the hypervisor's version is {version}, and was {was}: running guests could not"
                " be brought here"
            )
        if wrong:
            raise errors.StepFailed(f"{self.host} is not as it should be: {'; '.join(wrong)}")
        return now

    def _await_agents(self, wanted: list[str]) -> None:
        network = self.ctx.cloud.network

        def dead() -> list[str]:
            alive = [a.agent_type for a in network.agents() if a.host == self.host and a.alive]
            return sorted(set(wanted) - set(alive))

        wait.until(
            self.ctx.cloud.clock,
            f"the agents of {self.host} ({', '.join(wanted)}) to be alive",
            dead,
            lambda missing: not missing,
            deadline_s=self.ctx.settings.compute_s,
        )


def reboot(step: HostStep, boot_id: str) -> dict[str, Any]:
    """Reboot a step's host, and return what it is when it is back.

    :raises StepFailed: it does not come back.
    """
    step.plugin.reboot(step.host, step.settings)
    return wait_for(step, boot_id, another=True)


def wait_for(step: HostStep, boot_id: str, another: bool) -> dict[str, Any]:
    """Wait until a host answers, and return what it is.

    :param another: whether it must have another boot id.
    :raises StepFailed: it did not within the deadline of reboots.
    """
    deadline = step.ctx.settings.reboot_s
    what = f"host {step.host} to be back" if another else f"host {step.host} to answer"
    try:
        return step.wait_for(what, lambda now: not another or now["boot_id"] != boot_id, deadline)
    except errors.TimedOut as exc:
        raise errors.StepFailed(
            f"host {step.host} did not come back within {deadline:g} s: look at its console; once"
            " it is up, resume the run, which goes on from here"
        ) from exc


def await_compute(step: HostStep, since: float) -> None:
    """Wait until Nova has heard of a host's nova-compute after a moment.

    :raises StepFailed: it has not.
    """
    compute, deadline = step.ctx.cloud.compute, step.ctx.settings.compute_s
    try:
        wait.until(
            step.ctx.cloud.clock,
            f"nova-compute of {step.host} to report",
            lambda: compute.service(step.host),
            lambda service: service.up and moment(service.updated) >= int(since),
            deadline_s=deadline,
            most_s=1.0,
        )
    except errors.TimedOut as exc:
        raise errors.StepFailed(
            f"nova-compute of {step.host} has not been heard of within {deadline:g} s: look at its"
            " log, start it, and resume the run"
        ) from exc


def lost(before: dict[str, Any], now: dict[str, Any]) -> list[str]:
    """Return what a host had before it was upgraded and has no more, in words; pure."""
    found = [
        f"{count} hugepages of {size} KiB were there, now {now['hugepages'].get(size, 0)}"
        for size, count in sorted(before.get("hugepages", {}).items())
        if "hugepages" in now and now["hugepages"].get(size, 0) < count
    ]
    found += [
        f"{name} had {count} SR-IOV functions, now {now['vfs'].get(name, 0)}"
        for name, count in sorted(before.get("vfs", {}).items())
        if "vfs" in now and now["vfs"].get(name, 0) < count
    ]
    running = now.get("kernel", "")
    found += [
        f"module {name} is not built for kernel {running}"
        for name, kernels in sorted(before.get("modules", {}).items())
        if before.get("kernel") in kernels and running not in now.get("modules", {}).get(name, [])
    ]
    if before.get("time_synchronized") and now.get("time_synchronized") is False:
        found.append("its clock is not synchronized any more")
    return found


def _same(before: dict[str, Any], now: dict[str, Any], fact: str) -> bool:
    return bool(before.get(fact) == now.get(fact))
