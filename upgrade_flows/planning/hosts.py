"""From assessed hosts to a plan with a schedule: which host when, and where its instances go."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any

from upgrade_flows.flows.capability import Assessment
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Inventory
from upgrade_flows.model.plan import Action, Gate, Prediction, Wave
from upgrade_flows.model.report import Finding
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.planning import hosts_findings, hosts_policies
from upgrade_flows.planning.hosts_fleet import fleet_of
from upgrade_flows.planning.hosts_rules import rules_of
from upgrade_flows.planning.rolling import Costs, Fleet, Ground, Instance, Roll, Rules, plan
from upgrade_flows.steps.base import Plugins

__all__ = ["Scheduled", "fleet_of", "ground_of", "roll_of", "rules_of", "schedule"]

#: how often it is tried to do without hosts that cannot be emptied
TRIES = 3


@dataclass(frozen=True)
class Scheduled:
    """What a plan gets of a schedule.

    ``schedule`` is plain JSON: ``fleet``, ``rules`` and ``roll`` (of ``planning.rolling``,
    without what has its default), ``variant``, ``start`` (of the roll's seconds), ``policy``
    (that of placement, by name) and ``policies`` (by host, where host groups have their own).
    """

    actions: tuple[Action, ...] = ()
    waves: tuple[Wave, ...] = ()
    schedule: dict[str, Any] = dataclasses.field(default_factory=dict)
    findings: tuple[Finding, ...] = ()


def schedule(
    request: UpgradeRequest, inventory: Inventory, found: Assessment, plugins: Plugins
) -> Scheduled:
    """Work out in which order the hosts of an assessment are upgraded.

    Hosts that cannot be emptied are left out and refused, where that costs no other host; where
    it would, they stay in the plan as the last ones, with a warning: a run upgrades them if there
    is room then.

    :raises RequestError: an option is not valid, or names what does not exist.
    """
    rules = rules_of(request)
    if not found.actions:
        return Scheduled()
    options = Options.read(request.target.options)
    made = fleet_of(request, inventory, found)
    grouped = hosts_policies.grouped(options, inventory, made.fleet, plugins)
    policy, policies = options.placement, grouped.policies
    cost = hosts_policies.costs_of(policy, policies, plugins)
    planned = {action.subject for action in found.actions}
    fleet, roll = _without(grouped.fleet, rules, cost, planned)
    ground = Ground(fleet, rules, roll.variant, cost)
    refused = {ground.hosts[number].name for number in ground.left}
    windows = {window.host: window for window in roll.windows}
    order = {name: number for number, name in enumerate(roll.order)}
    actions = []
    for action in sorted(found.actions, key=lambda one: order.get(one.subject, len(order))):
        if action.subject in refused:
            continue
        window = windows.get(action.subject)
        length = 0 if window is None or window.end is None else window.end - window.start
        prediction = Prediction(0.0, float(length), "schedule" if length else "unknown")
        actions.append(dataclasses.replace(action, prediction=prediction))
    wave = Wave(
        "hosts", tuple(actions), request.rollout.at_a_time, Gate(request.rollout.max_failures)
    )
    findings = (
        *hosts_findings.left_over(
            inventory, ground, roll, planned - {one.subject for one in grouped.findings}, refused
        ),
        *hosts_findings.narrow(
            inventory, Ground(grouped.fleet, rules, 0, cost), not planned - set(roll.left)
        ),
    )
    return Scheduled(
        actions=tuple(actions),
        waves=(wave,) if actions else (),
        schedule={
            "fleet": _slim(fleet),
            "rules": codec.to_plain(rules),
            "variant": roll.variant,
            "start": 0,
            "roll": _slim(roll),
            "policy": policy,
            "policies": policies,
        },
        findings=(
            *made.findings,
            *grouped.findings,
            *hosts_policies.lacking(policy, policies, fleet, plugins),
            *findings,
        ),
    )


def ground_of(schedule: dict[str, Any], plugins: Plugins) -> Ground:
    """Return what a plan's schedule was worked out on: a run of it goes on from there.

    :raises RequestError: its placement policy is not installed.
    """
    fleet = _sharing(codec.from_plain(Fleet, schedule["fleet"]))
    rules = codec.from_plain(Rules, schedule["rules"])
    cost = hosts_policies.costs_of(schedule["policy"], schedule["policies"], plugins)
    return Ground(fleet, rules, schedule["variant"], cost)


def roll_of(schedule: dict[str, Any]) -> Roll:
    """Return the rolling upgrade that a plan's schedule predicts."""
    return codec.from_plain(Roll, schedule["roll"])


def _without(
    fleet: Fleet, rules: Rules, cost: Costs | None, planned: set[str]
) -> tuple[Fleet, Roll]:
    """Plan, and plan again without the hosts that cannot be emptied; return the best of it."""
    roll = plan(fleet, rules, cost=cost)
    best, excluded = (fleet, roll), dict[str, str]()
    for _ in range(TRIES):
        over = {name: why for name, why in roll.left.items() if name in planned}
        if set(over) <= set(excluded):
            break
        excluded |= over
        hosts = tuple(
            dataclasses.replace(host, excluded=excluded.get(host.name, host.excluded))
            for host in fleet.hosts
        )
        trial = dataclasses.replace(fleet, hosts=hosts)
        roll = plan(trial, rules, cost=cost)
        if len(roll.left) <= len(best[1].left):
            best = trial, roll
    return best


def _slim(value: Any) -> Any:
    """Return dataclasses as plain JSON without the fields that have their default."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {
            field.name: _slim(getattr(value, field.name))
            for field in dataclasses.fields(value)
            if not _is_default(field, getattr(value, field.name))
        }
    if isinstance(value, list | tuple):
        return [_slim(item) for item in value]
    if isinstance(value, dict):
        return {str(key): _slim(item) for key, item in value.items()}
    return codec.to_plain(value)


def _is_default(field: dataclasses.Field[Any], value: Any) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(value == field.default_factory())
    return field.default is not dataclasses.MISSING and bool(value == field.default)


def _sharing(fleet: Fleet) -> Fleet:
    """Return a fleet in which equal demands are one object, as they were when it was planned."""
    known: dict[tuple[tuple[str, int], ...], dict[str, int]] = {}

    def shared(one: Instance) -> Instance:
        key = tuple(one.demand.items())
        return dataclasses.replace(one, demand=known.setdefault(key, one.demand))

    return dataclasses.replace(fleet, instances=tuple(shared(one) for one in fleet.instances))
