"""A rolling upgrade as lines that can be read, and short ways to write small clouds."""

from __future__ import annotations

from upgrade_flows.planning.rolling import Canary, Fleet, Host, Instance, Limits, Rules, plan
from upgrade_flows.planning.rolling.check import check


def host(name, vcpus=4, **more):
    return Host(name, {"VCPU": vcpus}, more.pop("out_s", 100), **more)


def instance(name, where, vcpus=2, **more):
    return Instance(name, where, {"VCPU": vcpus}, more.pop("move_s", 10), **more)


def rules(out=1, per_host=1, total=9, canary=Canary(), prefer="time", **more):
    return Rules(Limits(out, per_host, total, **more), canary, prefer)


def planned(hosts, instances, given, groups=()):
    """Plan, and let the validator look at it."""
    fleet = Fleet(tuple(hosts), tuple(instances), tuple(groups))
    roll = plan(fleet, given)
    assert check(fleet, given, roll) == []
    return roll


def story(roll):
    """Return what happens, one line for each window and each move, in order."""
    lines = []
    for window in roll.windows:
        moves = [
            f"{move.instance}>{move.target}@{move.start}-{move.end}"
            for move in roll.moves
            if move.source == window.host
        ]
        ends = f"{window.start}-{window.drained}-{window.end}"
        text = f"{window.host} {ends} {' '.join(moves)}".rstrip()
        lines.append(text + (f" ({window.failed})" if window.failed else ""))
    return lines
