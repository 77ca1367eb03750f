"""Builds the guest's disk image from Debian packages: kernel, busybox and a boot loader on FAT."""

from __future__ import annotations

import gzip
import hashlib
import shutil
import subprocess
import tempfile
from pathlib import Path

from tests.lab.settings import Settings

ROOT = Path(__file__).resolve().parent / "root"
SIZE_MB = 48
FIRST_SECTOR = 2048
BUSYBOX = Path("/bin/busybox")
MBR = Path("/usr/lib/SYSLINUX/mbr.bin")
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
# in the order of loading
MODULES = [
    "drivers/virtio/virtio_ring",
    "drivers/virtio/virtio",
    "drivers/virtio/virtio_pci_modern_dev",
    "drivers/virtio/virtio_pci_legacy_dev",
    "drivers/virtio/virtio_pci",
    "net/core/failover",
    "drivers/net/net_failover",
    "drivers/net/virtio_net",
    "drivers/block/virtio_blk",
    "drivers/char/hw_random/virtio-rng",
    "lib/crc-itu-t",
    "drivers/scsi/scsi_common",
    "drivers/scsi/scsi_mod",
    "drivers/ata/libata",
    "drivers/ata/ata_piix",
    "drivers/cdrom/cdrom",
    "drivers/scsi/sr_mod",
    "fs/isofs/isofs",
    "fs/nls/nls_cp437",
    "fs/nls/nls_iso8859-1",
    "fs/nls/nls_ascii",
    "fs/nls/nls_utf8",
    "fs/fat/fat",
    "fs/fat/vfat",
    "drivers/acpi/button",
]
DIRECTORIES = ("bin", "sbin", "proc", "sys", "dev", "etc", "mnt", "boot", "tmp", "run", "modules")
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


def build(settings: Settings | None = None) -> Path:
    """Return the image, building it first unless one of the same inputs is in the cache."""
    folder = (settings or Settings.load()).cache / "guest"
    image, key = folder / "probe.qcow2", folder / "probe.key"
    package = _kernel_package(folder)
    wanted = _key(package)
    if image.exists() and key.exists() and key.read_text() == wanted:
        return image
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        _run("dpkg-deb", "-x", package, f"{scratch}/kernel")
        built = _disk(Path(scratch))
        built.replace(image)
    key.write_text(wanted)
    return image


def key_of(built: Path) -> str:
    """Return what tells an image from one made of other inputs."""
    return built.with_suffix(".key").read_text().strip()


def _kernel_package(folder: Path) -> Path:
    """Return the kernel's package, downloaded once."""
    folder.mkdir(parents=True, exist_ok=True)
    for known in sorted(folder.glob("linux-image-*.deb")):
        return known
    depends = _run("apt-cache", "depends", "linux-image-cloud-amd64").split()
    name = next(word for word in depends if word.startswith("linux-image-6"))
    _run("apt-get", "-o", "APT::Sandbox::User=root", "download", name, cwd=folder)
    return next(folder.glob("linux-image-*.deb"))


def _key(package: Path) -> str:
    """Return the digest of everything that goes into the image."""
    digest = hashlib.sha256(package.name.encode())
    for path in (Path(__file__), BUSYBOX, *sorted(p for p in ROOT.rglob("*") if p.is_file())):
        digest.update(f"{path.name} {oct(path.stat().st_mode)}\n".encode())
        digest.update(path.read_bytes())
    return digest.hexdigest() + "\n"


def _disk(scratch: Path) -> Path:
    """Make the disk: a partition table, one FAT partition that syslinux boots from."""
    raw, offset = scratch / "disk.raw", FIRST_SECTOR * 512
    (scratch / "initrd.gz").write_bytes(_initrd(scratch))
    (scratch / "syslinux.cfg").write_text(BOOT_MENU)
    kernel = next((scratch / "kernel" / "boot").glob("vmlinuz-*"))
    shutil.copy(kernel, scratch / "vmlinuz")
    with raw.open("wb") as file:
        file.truncate(SIZE_MB << 20)
    _run("/sbin/sfdisk", "-q", raw, stdin=f"{FIRST_SECTOR},,0x0e,*\n")
    with raw.open("r+b") as file:
        file.write(MBR.read_bytes()[:440])
    blocks = ((SIZE_MB << 20) - offset) // 1024
    format_ = ("/sbin/mkfs.vfat", "-F", "16", "-n", "PROBE", "--offset", FIRST_SECTOR)
    _run(*format_, raw, blocks)
    files = (scratch / name for name in ("vmlinuz", "initrd.gz", "syslinux.cfg"))
    _run("mcopy", "-i", f"{raw}@@{offset}", *files, "::")
    _run("syslinux", "-t", offset, "-i", raw)
    image = scratch / "probe.qcow2"
    _run("qemu-img", "convert", "-c", "-O", "qcow2", raw, image)
    return image


def _initrd(scratch: Path) -> bytes:
    """Return the initial file system: busybox, kernel modules, our own scripts."""
    tree = scratch / "tree"
    shutil.copytree(ROOT, tree)
    for name in DIRECTORIES:
        (tree / name).mkdir(exist_ok=True)
    shutil.copy(BUSYBOX, tree / "bin" / "busybox")
    for applet in _run(BUSYBOX, "--list").split():
        link = tree / "bin" / applet
        if not link.exists():
            link.symlink_to("busybox")
    (tree / "etc" / "passwd").write_text("root::0:0:root:/root:/bin/sh\n")
    modules = next((scratch / "kernel" / "lib" / "modules").iterdir()) / "kernel"
    for module in MODULES:
        shutil.copy(modules / f"{module}.ko", tree / "modules")
    names = (f"{Path(module).name}.ko\n" for module in MODULES)
    (tree / "modules" / "order").write_text("".join(names))
    _run("mknod", "-m", "600", tree / "dev" / "console", "c", "5", "1")
    entries = sorted(str(path.relative_to(tree)) for path in tree.rglob("*"))
    archive = subprocess.run(
        ["cpio", "-o", "-H", "newc", "--quiet", "-R", "0:0"],
        input="".join(f"{entry}\n" for entry in entries).encode(),
        stdout=subprocess.PIPE,
        cwd=tree,
        check=True,
    )
    return gzip.compress(archive.stdout, 9, mtime=0)


def _run(*argv: object, stdin: str | None = None, cwd: Path | None = None) -> str:
    words = [str(word) for word in argv]
    done = subprocess.run(words, input=stdin, text=True, cwd=cwd, capture_output=True)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


if __name__ == "__main__":
    print(build())
