"""The pieces of a guest's image: a kernel, a tree of files, and the disk that boots them."""

from __future__ import annotations

import gzip
import lzma
import re
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.lab.guest.recipe import BUSYBOX, ROOT, Recipe

FIRST_SECTOR = 2048
MBR = Path("/usr/lib/SYSLINUX/mbr.bin")
METAPACKAGES = {"6.1": "linux-image-cloud-amd64", "6.12": "linux-image-6.12-cloud-amd64"}
# pci=nomsi: QEMU 7.2 crashes under TCG when a guest with MSI-X has a vhost-user NIC
KERNEL_ARGUMENTS = (
    "pci=nomsi console=tty0 console=ttyS0,115200 tsc=reliable no_timer_check quiet"
    " mitigations=off nokaslr panic=1 random.trust_cpu=on"
)
BOOT_MENU = f"""\
SERIAL 0 115200
DEFAULT linux
PROMPT 0
TIMEOUT 1
LABEL linux
 KERNEL vmlinuz
 INITRD initrd.gz
 APPEND {KERNEL_ARGUMENTS}
"""
DIRECTORIES = ("bin", "sbin", "proc", "sys", "dev", "etc", "mnt", "boot", "tmp", "run", "modules")


def kernel_package(folder: Path, series: str) -> Path:
    """Return the package of a kernel (of the series "6.1", say), downloaded once."""
    pattern = f"linux-image-{series}.*.deb"
    if not list(folder.glob(pattern)):
        try:
            _download(folder, series)
        except (RuntimeError, StopIteration):
            run("apt-get", "--quiet", "update")  # what it has heard of is gone, or newer
            _download(folder, series)
    return sorted(folder.glob(pattern))[0]


def boot_files(recipe: Recipe, package: Path, scratch: Path) -> tuple[Path, Path]:
    """Make kernel and initial file system in a folder that is new; return both."""
    scratch.mkdir()
    kernel = scratch / "kernel"
    run("dpkg-deb", "-x", package, kernel)
    initrd = scratch / "initrd.gz"
    initrd.write_bytes(_initrd(recipe, kernel, scratch / "tree"))
    return next((kernel / "boot").glob("vmlinuz-*")), initrd


def disk(files: Mapping[str, Path], size_mb: int, scratch: Path) -> Path:
    """Make the disk: a partition table, one FAT partition that syslinux boots from."""
    raw, offset = scratch / "disk.raw", FIRST_SECTOR * 512
    menu = scratch / "syslinux.cfg"
    menu.write_text(BOOT_MENU)
    with raw.open("wb") as file:
        file.truncate(size_mb << 20)
    run("/sbin/sfdisk", "-q", raw, stdin=f"{FIRST_SECTOR},,0x0e,*\n")
    with raw.open("r+b") as file:
        file.write(MBR.read_bytes()[:440])
    blocks = ((size_mb << 20) - offset) // 1024
    format_ = ("/sbin/mkfs.vfat", "-F", "16", "-n", "PROBE", "--offset", FIRST_SECTOR)
    run(*format_, raw, blocks)
    for name, path in {**files, "syslinux.cfg": menu}.items():
        run("mcopy", "-i", f"{raw}@@{offset}", path, f"::{name}")
    run("syslinux", "-t", offset, "-i", raw)
    image = scratch / "disk.qcow2"
    run("qemu-img", "convert", "-O", "qcow2", raw, image)
    return image


def libraries_of(program: Path) -> list[Path]:
    """Return the shared libraries that a program is loaded with, its loader included."""
    return [Path(found) for found in re.findall(r"(/lib\S+) \(", run("ldd", program))]


def run(*argv: object, stdin: str | None = None, cwd: Path | None = None) -> str:
    """Run a command and return its output; RuntimeError if it fails."""
    words = [str(word) for word in argv]
    done = subprocess.run(words, input=stdin, text=True, cwd=cwd, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def _download(folder: Path, series: str) -> None:
    depends = run("apt-cache", "depends", METAPACKAGES[series]).split()
    name = next(word for word in depends if word.startswith(f"linux-image-{series}."))
    run("apt-get", "-o", "APT::Sandbox::User=root", "download", name, cwd=folder)


def _initrd(recipe: Recipe, kernel: Path, tree: Path) -> bytes:
    """Return the initial file system: busybox, kernel modules, our own scripts, and the rest."""
    shutil.copytree(ROOT, tree)
    for name in DIRECTORIES:
        (tree / name).mkdir(exist_ok=True)
    shutil.copy(BUSYBOX, tree / "bin" / "busybox")
    (tree / "etc" / "passwd").write_text("root::0:0:root:/root:/bin/sh\n")
    recipe.fill(tree)
    for applet in run(BUSYBOX, "--list").split():
        link = tree / "bin" / applet
        if not link.exists():
            link.symlink_to("busybox")
    _modules(recipe, kernel, tree / "modules")
    run("mknod", "-m", "600", tree / "dev" / "console", "c", "5", "1")
    entries = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"],
        input="".join(f"{entry}\n" for entry in entries).encode(),
        stdout=subprocess.PIPE,
        cwd=tree,
        check=True,
    )
    return gzip.compress(archive.stdout, 6, mtime=0)


def _modules(recipe: Recipe, kernel: Path, target: Path) -> None:
    """Copy modules, uncompressed, and write down the order of their loading."""
    release = next((kernel / "lib" / "modules").iterdir()).name
    run("depmod", "-b", kernel, release)
    # the one that fits the processor is not always one that it has the instructions for
    (kernel / "lib" / "modules" / release / "modules.softdep").unlink()
    found: dict[str, Path] = {}  # in order
    show = ("modprobe", "-C", "/dev/null", "-d", kernel, "-S", release, "--show-depends")
    for module in recipe.modules:
        for kind, path in (line.split()[:2] for line in run(*show, module).splitlines()):
            if kind == "insmod":  # else it is part of the kernel
                found.setdefault(Path(path).name.removesuffix(".xz"), Path(path))
    for name, path in found.items():
        data = path.read_bytes()
        (target / name).write_bytes(lzma.decompress(data) if path.suffix == ".xz" else data)
    (target / "order").write_text("".join(f"{name}\n" for name in found))
