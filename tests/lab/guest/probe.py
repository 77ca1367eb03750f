"""The guest that boots in seconds and tells over HTTP who it is: kernel, busybox and scripts."""

from __future__ import annotations

from pathlib import Path

from tests.lab.guest.recipe import Recipe

DRIVERS = (
    "virtio_pci",
    "virtio_net",
    "virtio_blk",
    "virtio-rng",
    "ata_piix",
    "sr_mod",
    "isofs",
    "nls_cp437",
    "nls_iso8859-1",
    "nls_ascii",
    "nls_utf8",
    "vfat",
    "button",
)


def fill(tree: Path) -> None:
    """Have the kernel start with the script that makes the guest."""
    (tree / "init").symlink_to("sbin/init")


RECIPE = Recipe("probe", "6.1", DRIVERS, fill, sources=(Path(__file__),))
