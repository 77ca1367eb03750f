"""The same game solved exactly, for clouds of a few hosts: OR-tools' CP-SAT.

Each instance moves once or twice.  What is asked for is what the planner promises: limits,
capacity on both sides of a migration, room on the hosts in service, groups, and where instances
may be.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass

from upgrade_flows.planning.rolling import Ground


@dataclass
class Exact:
    """What the solver found; ``best`` is None where there is no solution, or none was found."""

    status: str
    best: int | None
    bound: int


def solve(fleet, rules, horizon, seconds=20.0, workers=2):
    """Return the shortest makespan up to ``horizon``."""
    from ortools.sat.python import cp_model

    model = cp_model.CpModel()
    game = _Game(model, Ground(fleet, rules), horizon)
    game.add_hosts()
    for n in range(len(game.ground.instances)):
        game.add_instance(n)
    game.add_limits()
    solver = cp_model.CpSolver()
    solver.parameters.max_time_in_seconds = seconds
    solver.parameters.num_workers = workers
    status = solver.status_name(solver.solve(model))
    found = status in ("OPTIMAL", "FEASIBLE")
    best = round(solver.objective_value) if found else None
    return Exact(status, best, round(solver.best_objective_bound) if found else 0)


class _Game:
    def __init__(self, model, ground, horizon):
        self.model, self.ground, self.horizon = model, ground, horizon
        self.begin, self.drained, self.back = {}, {}, {}
        self.out = {}
        self.held = defaultdict(list)  # host: (interval, instance) while it takes up room there
        self.moving = defaultdict(list)  # host: intervals of its migrations
        self.moves = []

    def moment(self, name):
        return self.model.new_int_var(0, self.horizon, name)

    def add_hosts(self):
        ground, model = self.ground, self.model
        for n, host in enumerate(ground.hosts):
            if not ground.planned[n]:
                continue
            self.begin[n], self.drained[n] = self.moment(f"b{n}"), self.moment(f"d{n}")
            self.back[n] = self.moment(f"f{n}")
            model.add(self.drained[n] >= self.begin[n])
            model.add(self.back[n] == self.drained[n] + host.out_s)
            size = self.moment(f"z{n}")
            self.out[n] = model.new_interval_var(self.begin[n], size, self.back[n], f"out{n}")
        makespan = self.moment("makespan")
        model.add_max_equality(makespan, list(self.back.values()))
        model.minimize(makespan)

    def add_instance(self, n):
        ground, model = self.ground, self.model
        home, took = ground.home[n], ground.move_s[n]
        mask = ground.masks[ground.class_of[n]]
        start = self.moment(f"s{n}")
        end = self.move(f"m{n}", start, took, home)
        model.add(start >= self.begin[home])
        model.add(end <= self.drained[home])
        self.hold(home, n, 0, end, None)
        again = model.new_bool_var(f"again{n}")
        start2 = self.moment(f"s2-{n}")
        end2 = self.move(f"m2-{n}", start2, took, None, again)
        targets = [h for h in range(len(ground.hosts)) if mask >> ground.kind[h] & 1]
        first = {h: model.new_bool_var(f"x{n}-{h}") for h in targets if h != home}
        second = {h: model.new_bool_var(f"y{n}-{h}") for h in targets}
        model.add_exactly_one(first.values())
        model.add(sum(second.values()) == again)
        for h, chosen in first.items():
            self.part(f"t{n}-{h}", start, took, h, chosen)
            old = model.new_bool_var(f"old{n}-{h}")
            new = model.new_bool_var(f"new{n}-{h}")
            model.add(old + new == chosen)
            model.add_implication(old, again)
            model.add_implication(new, again.negated())
            if h not in self.begin:
                model.add(old == 0)
            else:
                model.add(start >= self.back[h]).only_enforce_if(new)
                model.add(end <= self.begin[h]).only_enforce_if(old)
                model.add(start2 >= self.begin[h]).only_enforce_if(old)
                model.add(end2 <= self.drained[h]).only_enforce_if(old)
                self.part(f"u{n}-{h}", start2, took, h, old)
            self.hold(h, n, start, self.horizon, new)
            self.hold(h, n, start, end2, old)
        for h, chosen in second.items():
            self.part(f"v{n}-{h}", start2, took, h, chosen)
            self.hold(h, n, start2, self.horizon, chosen)
            if h in self.back:
                model.add(start2 >= self.back[h]).only_enforce_if(chosen)

    def move(self, name, start, took, host, present=None):
        end = self.moment(f"e-{name}")
        if present is None:
            interval = self.model.new_interval_var(start, took, end, name)
        else:
            interval = self.model.new_optional_interval_var(start, took, end, present, name)
        self.moves.append(interval)
        if host is not None:
            self.moving[host].append(interval)
        return end

    def part(self, name, start, took, host, present):
        interval = self.model.new_optional_fixed_size_interval_var(start, took, present, name)
        self.moving[host].append(interval)

    def hold(self, host, n, start, end, present):
        size = self.moment(f"h{host}-{n}-{len(self.held[host])}")
        name = f"hold{host}-{n}-{len(self.held[host])}"
        if present is None:
            interval = self.model.new_interval_var(start, size, end, name)
        else:
            interval = self.model.new_optional_interval_var(start, size, end, present, name)
        self.held[host].append((interval, n))

    def add_limits(self):
        ground, model = self.ground, self.model
        limits = ground.rules.limits
        ones = [1] * len(self.out)
        model.add_cumulative(self.out.values(), ones, limits.out_of_service)
        model.add_cumulative(self.moves, [1] * len(self.moves), limits.migrations_total)
        for intervals in self.moving.values():
            model.add_cumulative(intervals, [1] * len(intervals), limits.migrations_per_host)
        for host, held in self.held.items():
            for name in ground.shift:
                demands = [ground.amount(ground.need[n], name) for _, n in held]
                room = ground.amount(ground.capacity[host], name)
                model.add_cumulative([interval for interval, _ in held], demands, room)
            groups = defaultdict(list)
            for interval, n in held:
                group = ground.group_of[n]
                if group >= 0 and ground.policy[group] == "anti-affinity":
                    groups[group].append(interval)
            for intervals in groups.values():
                model.add_no_overlap(intervals)
        for reach in ground.reaches:
            inside = [n for n in self.out if reach.mask >> ground.kind[n] & 1]
            for name in ground.shift if inside else ():
                nets = [ground.amount(ground.net(n), name) for n in inside]
                free = ground.amount(reach.capacity, name) - ground.amount(reach.required, name)
                model.add_cumulative([self.out[n] for n in inside], nets, max(0, free))
