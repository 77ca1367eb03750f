"""How far a drain may go with an instance, and how long it waits."""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.steps.base import Settings


@dataclass(frozen=True)
class Policy:
    """The rungs of the ladder, and the patience on each, in seconds.

    :param at_a_time: migrations that a host sends, and that one receives, at the same time.
    :param attempts: how often the migration of an instance is tried, each time to another host.
    """

    at_a_time: int = 2
    attempts: int = 3
    may_pause: bool = False
    may_cold: bool = False
    live_s: float = 120.0
    live_s_per_gib: float = 30.0
    cold_s: float = 3600.0
    abort_s: float = 120.0
    arrival_s: float = 900.0

    def live_deadline(self, memory_mb: int) -> float:
        """Return how long a live migration of so much memory may take."""
        return self.live_s + self.live_s_per_gib * memory_mb / 1024

    @classmethod
    def of(cls, options: Options, settings: Settings) -> Policy:
        """Return the policy that an operator's options and the process's deadlines make."""
        return cls(
            at_a_time=options.migrations_per_host,
            attempts=options.attempts,
            may_pause=options.may_pause,
            may_cold=options.may_cold,
            live_s=settings.live_migration_s,
            live_s_per_gib=settings.live_migration_s_per_gib,
            cold_s=settings.cold_migration_s,
            arrival_s=settings.arrival_s,
        )
