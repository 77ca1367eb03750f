"""What the operator wants: which capability, on what, towards what, at which pace."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.errors import RequestError
from upgrade_flows.model import codec


@dataclass(frozen=True)
class Scope:
    """What the request is about.

    ``servers`` holds names or ids, ``hosts`` names of compute hosts, ``projects`` ids; the
    scope is what all that are given have in common.  ``everything`` must be said.
    """

    servers: tuple[str, ...] = ()
    hosts: tuple[str, ...] = ()
    projects: tuple[str, ...] = ()
    everything: bool = False

    def check(self) -> None:
        """Refuse an empty scope.

        :raises RequestError: nothing is named, and ``everything`` was not said.
        """
        if not (self.servers or self.hosts or self.projects or self.everything):
            raise RequestError(
                "the scope is empty: name servers, hosts or projects, or ask for everything"
            )


@dataclass(frozen=True)
class Target:
    """Where to; what the keys mean is the capability's business."""

    strategy: str = "auto"
    hosts: tuple[str, ...] = ()
    options: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Rollout:
    """The pace: how many subjects at a time, and how many failures stop the run."""

    at_a_time: int = 1
    max_failures: int = 0
    canaries: int = 0

    def check(self) -> None:
        """Refuse numbers that make no sense.

        :raises RequestError: with the number and its range.
        """
        if self.at_a_time < 1:
            raise RequestError(f"at_a_time is {self.at_a_time}; it must be 1 or more")
        if self.max_failures < 0:
            raise RequestError(f"max_failures is {self.max_failures}; it must be 0 or more")
        if self.canaries < 0:
            raise RequestError(f"canaries is {self.canaries}; it must be 0 or more")


@dataclass(frozen=True)
class UpgradeRequest:
    """One request: a capability, its scope, its target and its pace."""

    capability: str
    scope: Scope
    target: Target = Target()
    rollout: Rollout = Rollout()

    def check(self) -> None:
        """Refuse what cannot be planned.

        :raises RequestError: says which part and why.
        """
        self.scope.check()
        self.rollout.check()

    @classmethod
    def from_plain(cls, value: Any) -> UpgradeRequest:
        """Build a request from what a YAML or JSON file held.

        :raises RequestError: a key is unknown or missing.
        """
        try:
            request = codec.from_plain(cls, value)
        except (ValueError, TypeError) as exc:
            raise RequestError(f"the request is not valid: {exc}") from exc
        request.check()
        return request
