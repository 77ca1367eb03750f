"""The guest for live updates, with two kernels: sshd, CRIU, and a service with a disk of data."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.lab.guest import parts, probe
from tests.lab.guest.recipe import FOLDER, PROPERTIES, Recipe

FILES = FOLDER / "live"
PROGRAMS = tuple(
    Path(name)
    for name in (
        "/bin/dash",
        "/sbin/e2fsck",
        "/sbin/ip",
        "/sbin/mke2fs",
        "/usr/bin/dropbearkey",
        "/usr/bin/nsenter",
        "/usr/bin/setsid",
        "/usr/bin/unshare",
        "/usr/sbin/criu",
        "/usr/sbin/dropbear",
        "/usr/sbin/nft",
        "/usr/sbin/xtables-nft-multi",
    )
)
LINKS = {  # name: program
    "bin/sh": "dash",
    **{
        f"usr/sbin/{name}{kind}": "xtables-nft-multi"
        for name in ("iptables", "ip6tables")
        for kind in ("", "-restore", "-save")
    },
}
EXTENSIONS = Path("/usr/lib/x86_64-linux-gnu/xtables")
NEEDED_EXTENSIONS = ("libxt_conntrack", "libxt_mark", "libxt_standard", "libxt_tcp")
DRIVERS = (*probe.DRIVERS, "ext4", "evdev")
# what CRIU asks the kernel about sockets, and what it locks the network with
CHECKPOINTS = (
    "unix_diag",
    "tcp_diag",
    "udp_diag",
    "raw_diag",
    "af_packet_diag",
    "netlink_diag",
    "nf_tables",
    "nft_compat",
    "nft_ct",
    "xt_tcpudp",
    "xt_mark",
    "xt_conntrack",
    "tun",
    "veth",
    "overlay",
)


def fill(tree: Path) -> None:
    """Add our files, Debian's programs with their libraries, and our own, compiled."""
    shutil.copytree(FILES / "root", tree, dirs_exist_ok=True)
    for program in PROGRAMS:
        for path in (program, *parts.libraries_of(program)):
            _copy(path, tree)
    for name in NEEDED_EXTENSIONS:
        _copy(EXTENSIONS / f"{name}.so", tree)
    for name, program in LINKS.items():
        (tree / name).symlink_to(program)
    compile_programs(tree / "bin")


def compile_programs(folder: Path) -> None:
    """Compile our own programs; static, so that libraries of other guests are no matter."""
    for source in sorted((FILES / "src").glob("*.c")):
        parts.run("gcc", "-O2", "-Wall", "-static", "-s", "-o", folder / source.stem, source)


def _copy(path: Path, tree: Path) -> None:
    target = tree / str(path).lstrip("/")
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(path, target)


def _recipe(name: str, series: str, update: Recipe | None = None) -> Recipe:
    return Recipe(
        name,
        series,
        (*DRIVERS, *CHECKPOINTS),
        fill,
        sources=(Path(__file__), FILES, *PROGRAMS),
        # it turns itself off when it is asked to, which takes a moment
        properties=(*PROPERTIES.items(), ("os_shutdown_timeout", "10")),
        update=update,
        size_mb=120,
    )


NEW = _recipe("live-new", "6.12")
OLD = _recipe("live-old", "6.1", update=NEW)
