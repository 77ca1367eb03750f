"""What an image of a guest is made of."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parent
ROOT = FOLDER / "root"  # the files that every guest has
BUSYBOX = Path("/bin/busybox")
# what Glance has to know so that Nova gives the guest devices it has drivers for
PROPERTIES = {
    "hw_machine_type": "pc",
    "hw_cdrom_bus": "ide",
    "hw_disk_bus": "virtio",
    "hw_vif_model": "virtio",
    "hw_video_model": "none",
    # the scheduler gives it to hosts with this hypervisor, not to those with the fake one
    "img_hv_type": "qemu",
}


@dataclass(frozen=True)
class Recipe:
    """The inputs of one image.

    ``series`` is the kernel's ("6.1"). ``modules`` are loaded at boot, in order, with those that
    they need. ``fill`` adds to the tree of files; ``sources`` are the files and folders that it
    takes. ``update`` is what lies on the disk, too, for a guest that updates itself.
    """

    name: str
    series: str
    modules: tuple[str, ...]
    fill: Callable[[Path], object]
    sources: tuple[Path, ...] = ()
    properties: tuple[tuple[str, str], ...] = tuple(PROPERTIES.items())
    update: Recipe | None = None
    size_mb: int = 48
