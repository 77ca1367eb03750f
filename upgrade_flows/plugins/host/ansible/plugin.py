"""The host plugin ``ansible``: the operator's playbook does the work."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from taskflow import flow
from taskflow.patterns import graph_flow

from upgrade_flows.errors import HostError, HostUnreachable
from upgrade_flows.plugins.base import HostPlugin
from upgrade_flows.plugins.host import facts as host_facts
from upgrade_flows.plugins.host import kernels, scripts, wanted
from upgrade_flows.plugins.host.ansible import running
from upgrade_flows.plugins.host.ansible.settings import AnsibleSettings, read
from upgrade_flows.steps.base import Context, Step, note, undo


class AnsibleHost(HostPlugin):
    """Hosts that Ansible reaches."""

    def check(self, settings: dict[str, Any]) -> None:
        read(settings)

    def look(self, host: str, settings: dict[str, Any]) -> dict[str, Any]:
        understood = read(settings)
        script = host_facts.question(understood.want)
        told = running.run_script(understood, host, "looking", script)
        said = str(told.said.get("script", {}).get("stdout", ""))
        facts = host_facts.answer(host, said, understood.want)
        if understood.facts_playbook:
            variables = _variables(host, "")
            path = understood.facts_playbook
            told = running.run_playbook(understood, host, f"playbook {path}", path, variables)
            more = told.set_stats.get("upgrade_flows_facts", {})
            if not isinstance(more, dict):
                raise HostError(f"{host}: {path} says upgrade_flows_facts that are no object")
            facts.update(more)
        return facts

    def missing(self, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        understood = read(settings)
        said = wanted.missing(understood.want, facts)
        for key, value in understood.done_when.items():
            said += _differs(key, facts.get(key), value)
        if not understood.want and not understood.done_when:
            said.append(
                f"whether playbook {understood.playbook} has run cannot be seen: the settings have"
                " neither want nor done_when"
            )
        return said

    def refusals(self, host: str, settings: dict[str, Any], facts: dict[str, Any]) -> list[str]:
        understood = read(settings)
        paths = [*understood.playbooks(), understood.inventory, understood.ssh_config]
        said = [f"{path} does not exist here" for path in paths if path and not _there(path)]
        for path in understood.playbooks() if not said else ():
            try:
                running.run_playbook(
                    understood,
                    host,
                    f"the check of playbook {path}",
                    path,
                    _variables(host, ""),
                    arguments="--syntax-check",
                )
            except HostUnreachable:
                raise
            except HostError as exc:
                said.append(str(exc))
        return said + kernels.without_headers(host, understood.want, facts, set())

    def upgrade(self, ctx: Context, host: str, settings: dict[str, Any]) -> flow.Flow:
        step = RunPlaybook(ctx, host, read(settings))
        return graph_flow.Flow(f"upgrade-host-by-ansible:{host}").add(step)

    def wants_reboot(
        self, settings: dict[str, Any], before: dict[str, Any], now: dict[str, Any]
    ) -> bool:
        understood = read(settings)
        if understood.reboot == "playbook":
            return False
        return wanted.wants_reboot(understood.want, before, now)

    def reboot(self, host: str, settings: dict[str, Any]) -> None:
        script = scripts.script("reboot")
        try:
            running.run_script(read(settings), host, "asking for a reboot", script)
        except running.LostHost:
            return


class RunPlaybook(Step):
    """Run the operator's playbook on a host.

    Provides ``ansible_playbook``: how many tasks changed something.  Reverted by the operator's
    ``rollback_playbook``; where there is none, that is reported.
    """

    default_provides = "ansible_playbook"

    def __init__(self, ctx: Context, subject: str, settings: AnsibleSettings) -> None:
        super().__init__(ctx, subject)
        self.settings = settings

    def execute(self, facts: dict[str, Any]) -> dict[str, int]:
        return {"changed": self.run_playbook(self.settings.playbook)}

    def revert(self, result: Any = None, **_: object) -> dict[str, Any] | None:
        if isinstance(result, dict) and not result["changed"]:
            return None
        if self.settings.rollback_playbook:
            return undo(self, self.run_playbook, self.settings.rollback_playbook)
        return note(
            self,
            f"playbook {self.settings.playbook} ran on {self.subject}, and the settings have no"
            " rollback_playbook: what it did is still there",
        )

    def run_playbook(self, path: str) -> int:
        """Run a playbook; return how many tasks changed something."""
        variables = _variables(self.subject, self.ctx.run_id)
        told = running.run_playbook(
            self.settings, self.subject, f"playbook {path}", path, variables
        )
        return told.changed


def _variables(host: str, run_id: str) -> dict[str, str]:
    return {"upgrade_flows_host": host, "upgrade_flows_run": run_id}


def _there(path: str) -> bool:
    return Path(path).exists()


def _differs(name: str, now: Any, want: Any) -> list[str]:
    """Say where a fact is not as wanted; of an object only the keys that are wanted count."""
    if isinstance(want, dict):
        now = now if isinstance(now, dict) else {}
        return [said for key in want for said in _differs(f"{name}.{key}", now.get(key), want[key])]
    return [] if now == want else [f"{name} is {now!r}, {want!r} is wanted"]
