"""What an instance keeps of its identity, and what it loses."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

from upgrade_flows.cloud import clients
from upgrade_flows.model import codec, identity
from upgrade_flows.model.identity import Identity
from upgrade_flows.plugins import registry
from upgrade_flows.steps.base import Context
from upgrade_flows.steps.identity import record

#: what the recipe replaces by its nature, and what the job is to change
MEANT = ("id", "image_id", "vif_modes")


def of(server_id: str) -> Identity:
    """Record the identity of an instance."""
    context = _context()
    return record(context, server_id, context.plugins.mode_of)[0]


def lost(before: Identity, after: Identity, declared: tuple[str, ...] = MEANT) -> list[str]:
    """Return the fields that differ undeclared; of a port that is gone, field by field.

    The port at the same place of the new instance is taken for its successor.
    """
    found = identity.undeclared(identity.difference(before, after), declared)
    old, new = (codec.to_plain(side)["ports"] for side in (before, after))
    kept = {port["id"] for port in old} & {port["id"] for port in new}
    fields = [field for field in found if not field.startswith("ports[")]
    fields += [f for f in found if f.startswith("ports[") and f[6:].partition("]")[0] in kept]
    for place, port in enumerate(old):
        if port["id"] not in kept:
            successor = new[place] if place < len(new) else {}
            fields += [f"port {place}: {name}" for name in _differing(port, successor)]
    return fields


def _differing(port: dict[str, Any], successor: dict[str, Any]) -> list[str]:
    return [name for name, value in port.items() if value != successor.get(name)]


@lru_cache(maxsize=1)
def _context() -> Context:
    return Context("bench", clients.connect("lab-admin"), registry.load())
