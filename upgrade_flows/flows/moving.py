"""What is in the way of moving an instance to another host: what it has, and its owner's word."""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.model.inventory import Server

#: what owners can say
LIVE, COLD, POWEROFF, NOTIFY = "live", "cold", "poweroff", "notify"

#: the tag (``KEY=VALUE``) or metadata key by which owners say what is done to their instance
CHOICE = "upgrade_flows:maintenance"

#: kinds of ports that are devices of their host
DEVICES = ("direct-physical", "vdpa", "accelerator-direct", "accelerator-direct-physical")


@dataclass(frozen=True)
class Obstacles:
    """What is in the way of an instance: of a live migration, and of any (``move``)."""

    live: str = ""
    move: str = ""


def obstacles_of(server: Server) -> Obstacles:
    """Return what an instance itself says against being moved.

    Nova's libvirt driver: no live migration with PCI devices of a flavor, vTPM, or persistent
    memory; none at all with a vTPM whose secret is its owner's, or with persistent memory.
    """
    specs = server.flavor.extra_specs
    if "hw:pmem" in specs:
        return Obstacles(move="it has persistent memory of its host (hw:pmem)")
    if "hw:tpm_version" in specs:
        return Obstacles(live="it has a virtual TPM, which Nova does not migrate live")
    devices = specs.get("pci_passthrough:alias")
    if devices:
        return Obstacles(live=f"it has devices of its host (pci_passthrough:alias={devices})")
    if "accel:device_profile" in specs:
        return Obstacles(move="it has an accelerator of its host (accel:device_profile)")
    return Obstacles()


def choice_of(server: Server) -> str:
    """Return what the owner of an instance wants done to it; empty where nothing was said.

    The metadata key goes before the tag.  A word that is none of ours is as good as none.
    """
    said = server.metadata.get(CHOICE, "")
    if not said:
        marked = [tag for tag in server.tags if tag.startswith(f"{CHOICE}=")]
        said = marked[0].partition("=")[2] if marked else ""
    return said if said in (LIVE, COLD, POWEROFF, NOTIFY) else ""
