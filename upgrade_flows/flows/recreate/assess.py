"""From an inventory to one action per instance: the least disruptive strategy, and why."""

from __future__ import annotations

import dataclasses
from typing import Any

from upgrade_flows.cloud.collect import select
from upgrade_flows.errors import RequestError
from upgrade_flows.flows.capability import Assessment
from upgrade_flows.flows.recreate import rules
from upgrade_flows.flows.recreate.case import Budget, Case, make
from upgrade_flows.flows.seen import seen
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.plan import Action, Prediction
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.model.request import UpgradeRequest

LIVE = "live-migrate"


def assess(request: UpgradeRequest, inventory: Inventory, plugins: Any) -> Assessment:
    """Choose a strategy for each instance in scope that needs one.

    :raises RequestError: the asked strategy or host does not exist, or the scope names
        something that does not.
    """
    asked = request.target.strategy
    known = ("auto", *(strategy.name for strategy in rules.STRATEGIES), LIVE)
    if asked not in known:
        raise RequestError(f"there is no strategy {asked!r} (known: {', '.join(known)})")
    missing = [name for name in request.target.hosts if inventory.host(name) is None]
    if missing:
        raise RequestError(f"{', '.join(missing)}: no such compute host")
    probe_port = probe(request.target.options)
    budget = Budget(inventory)
    actions: list[Action] = []
    findings: list[Finding] = []
    unchanged: list[str] = []
    for server in select(inventory, request.scope):
        case = make(inventory, plugins, budget, server, request.target.hosts)
        if not case.needs_change and _nothing_unknown(case):
            unchanged.append(server.id)
            continue
        made = decide(case, asked)
        if isinstance(made, Action):
            if probe_port and server.status == "ACTIVE":
                details = {**made.details, "probe_port": probe_port}
                made = dataclasses.replace(made, details=details)
            actions.append(made)
        else:
            findings.extend(made)
    return Assessment(tuple(actions), tuple(findings), tuple(unchanged))


def probe(options: dict[str, Any]) -> int | None:
    """Return the TCP port at which guests are asked for a sign of life, or None.

    :raises RequestError: an option is unknown, or the probe is not ``tcp:<port>``.
    """
    unknown = sorted(set(options) - {"probe"})
    if unknown:
        raise RequestError(f"unknown option {', '.join(unknown)} of recreate (known: probe)")
    said = str(options.get("probe") or "")
    if not said:
        return None
    kind, _, port = said.partition(":")
    if kind != "tcp" or not port.isdecimal() or not 0 < int(port) < 65536:
        raise RequestError(f"the probe is {said!r}; it must be tcp:<port>, as in tcp:22")
    return int(port)


def decide(case: Case, asked: str = "auto") -> Action | list[Finding]:
    """Return the action for one instance, or the findings that refuse it."""
    blocked = [
        _refused(case, number, reason, remedy)
        for number, rule, remedy in rules.BLOCKERS
        if (reason := rule(case)) is not None
    ]
    if blocked:
        return blocked
    if asked == LIVE:
        return [
            _refused(
                case,
                "UF-RC-012",
                rules.live_migration_refusal(case),
                "plan with --strategy auto",
            )
        ]
    because: list[str] = []
    for strategy in rules.STRATEGIES:
        if asked not in ("auto", strategy.name):
            continue
        reason = next((why for rule in strategy.rules if (why := rule(case)) is not None), None)
        if reason is None:
            return _action(case, strategy, tuple(because))
        because.append(f"not {strategy.name}: {reason}")
    number = "UF-RC-010" if asked == "auto" else "UF-RC-011"
    message = "no strategy is possible: " if asked == "auto" else ""
    return [_refused(case, number, message + "; ".join(because), "remove one of the reasons")]


def _nothing_unknown(case: Case) -> bool:
    return all(port.plugin is not None for port in case.ports)


def _action(case: Case, strategy: rules.Strategy, because: tuple[str, ...]) -> Action:
    server = case.server
    target = server.host
    if strategy.name == "cold-migrate":
        target = str(rules.target_host(case)[0])
        case.budget.take(target, case.resources)
    digests = seen(server, (p.port for p in case.ports), {p.port.id: p.wanted for p in case.ports})
    return Action(
        capability="recreate",
        subject=server.id,
        name=server.name,
        strategy=strategy.name,
        because=because,
        declares=strategy.declares,
        details={
            "host": server.host,
            "target_host": target,
            "status": server.status,
            "project_id": server.project_id,
            "flavor_id": case.flavor_id or "",
            "key_name": server.key_name or "",
            "storage": case.storage or "",
            "volumes": [held.volume_id for held in server.volumes],
            "ports": [
                {"id": p.port.id, "bound": p.bound, "wanted": p.wanted, "plugin": p.plugin}
                for p in case.ports
            ],
            "seen": digests,
        },
        prediction=strategy.predict(case)
        if server.status == "ACTIVE"
        else _without_downtime(strategy.predict(case)),
        digest=codec.digest(digests),
    )


def _without_downtime(prediction: Prediction) -> Prediction:
    return dataclasses.replace(prediction, downtime_s=0.0)


def _refused(case: Case, number: str, reason: str, remedy: str) -> Finding:
    return Finding(
        id=number,
        subject=case.server.id,
        severity=Severity.REFUSED,
        message=f"{case.server.name}: {reason}",
        remedy=remedy.format(server=case.server.id),
    )
