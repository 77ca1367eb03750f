"""From a request to the rules that a rolling upgrade keeps: limits, canaries, preference."""

from __future__ import annotations

from upgrade_flows.errors import RequestError
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.planning.rolling import Canary, Limits, Rules


def rules_of(request: UpgradeRequest) -> Rules:
    """Return how the operator wants it.

    :raises RequestError: a limit or timing is unknown, or a number makes no sense.
    """
    options, rollout = Options.read(request.target.options), request.rollout
    known = ("attempts", "migrations_per_host", "migrations_total", "out_per_az",
             "out_per_domain", "spare")  # fmt: skip
    unknown = sorted(set(options.limits) - set(known))
    if unknown:
        raise RequestError(f"unknown limit {', '.join(unknown)} (known: {', '.join(known)})")
    for name, value in options.limits.items():
        number = (int, float) if name == "spare" else int
        open_ended = value is None and name.startswith("out_per_")
        if isinstance(value, bool) or not (isinstance(value, number) or open_ended):
            raise RequestError(f"the limit {name} is {value!r}; it must be a number")
    for name, value in options.timings.items():
        seconds = isinstance(value, int | float) and not isinstance(value, bool)
        if name not in ("out_s", "move_s") or not seconds or value <= 0:
            raise RequestError(
                f"timings: {name} is {value!r}; out_s and move_s are known, in seconds above 0"
            )
    limits = Limits(
        out_of_service=rollout.at_a_time, max_failures=rollout.max_failures, **options.limits
    )
    canary = Canary(rollout.canaries, options.bake_s, options.canary_hosts)
    rules = Rules(limits, canary, options.prefer)
    rules.check()
    return rules
