"""How full hosts are, as Placement says, and somebody who takes room on them."""

from __future__ import annotations

import uuid
from typing import Any

from tests.lab import api

#: who takes it, as far as Placement is told
PROJECT = USER = "somebody"
KINDS = ("VCPU", "MEMORY_MB")


class Crowd:
    """Takes room on hosts in the way of instances, which Placement cannot tell from it."""

    def __init__(self) -> None:
        self._api = api.shared("lab-admin").placement
        found = self._get("/resource_providers")["resource_providers"]
        self._ids = {one["name"]: one["uuid"] for one in found}
        self._taken: dict[str, list[str]] = {}

    def capacity(self, host: str, kind: str = "MEMORY_MB") -> int:
        """Return how much there can be on a host."""
        stock = self._get(f"/resource_providers/{self._ids[host]}/inventories")["inventories"]
        one = stock[kind]
        return int((one["total"] - one["reserved"]) * one["allocation_ratio"])

    def free(self, host: str, kind: str = "MEMORY_MB") -> int:
        """Return how much nobody has of it."""
        used = self._get(f"/resource_providers/{self._ids[host]}/usages")["usages"]
        return self.capacity(host, kind) - int(used[kind])

    def fill(self, host: str, **shares: float) -> None:
        """Take so much of a host that a share of it is taken, from 0 to 1, by anybody."""
        wanted = {
            kind: int(share * self.capacity(host, kind))
            - (self.capacity(host, kind) - self.free(host, kind))
            for kind, share in shares.items()
        }
        stock = self._get(f"/resource_providers/{self._ids[host]}/inventories")["inventories"]
        while any(amount > 0 for amount in wanted.values()):
            part = {
                kind: min(amount, stock[kind]["max_unit"])
                for kind, amount in wanted.items()
                if amount > 0
            }
            self._take(host, part)
            wanted = {kind: amount - part.get(kind, 0) for kind, amount in wanted.items()}

    def leave(self, *hosts: str) -> None:
        """Give back what was taken on these hosts, or on all."""
        for host in hosts or tuple(self._taken):
            for consumer in self._taken.pop(host, ()):
                answer = self._api.delete(f"/allocations/{consumer}")
                assert answer.status_code == 204, answer.text

    def _take(self, host: str, amounts: dict[str, int]) -> None:
        consumer = str(uuid.uuid4())
        body = {
            "allocations": {self._ids[host]: {"resources": amounts}},
            "consumer_generation": None,
            "project_id": PROJECT,
            "user_id": USER,
        }
        answer = self._api.put(f"/allocations/{consumer}", json=body, microversion="1.28")
        assert answer.status_code == 204, answer.text
        self._taken.setdefault(host, []).append(consumer)

    def _get(self, path: str) -> Any:
        answer = self._api.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()


def flavor(name: str, vcpus: int, memory_mb: int) -> str:
    """Make a flavor of that size; return its name."""
    api.shared("lab-admin").compute.create_flavor(name=name, vcpus=vcpus, ram=memory_mb, disk=1)
    return name
