"""Build the lab's own Debian packages and the two sources that have them."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
from pathlib import Path

SOURCES_LIST = "deb [trusted=yes] file:/usr/share/lab-packages/{name} ./"
RELEASES = {"1.0": "6.1.0-lab", "2.0": "6.12.0-lab"}  # version of lab-kernel: kernel release
SOURCES = {  # name: packages and versions
    "old": {"lab-kernel": "1.0", "lab-agent": "1.0", "lab-legacy": "1.0"},
    "new": {"lab-kernel": "2.0", "lab-agent": "2.0"},
}
CONTROL = """\
Package: {name}
Version: {version}
Architecture: all
Maintainer: The lab <lab@localhost>
Section: misc
Priority: optional
Description: {name} of the lab
"""
POSTINST = """\
#!/bin/sh
set -e
[ "$1" = configure ] || exit 0
if [ -e /run/faults/break-package ]; then
    echo "lab-kernel: no space left in /boot" >&2
    exit 1
fi
echo {release} > /boot/lab-release
"""


def source(name: str) -> str:
    """Return the line for sources.list of a source: old or new."""
    return SOURCES_LIST.format(name=name)


def build(folder: Path) -> None:
    """Build all packages into a new folder, a directory a source."""
    shutil.rmtree(folder, ignore_errors=True)
    for name, packages in SOURCES.items():
        directory = folder / name
        directory.mkdir(parents=True)
        index = [_build(directory, *package) for package in packages.items()]
        (directory / "Packages").write_text("\n".join(index))


def _build(directory: Path, name: str, version: str) -> str:
    """Build one package; return its entry in the index."""
    tree = directory / "tree"
    control = CONTROL.format(name=name, version=version)
    _write(tree / "DEBIAN" / "control", control)
    if name == "lab-kernel":
        release = RELEASES[version]
        _write(tree / "boot" / f"vmlinuz-{release}", f"kernel {release}\n")
        _write(tree / "usr/lib/modules" / release / "modules.builtin", "")
        _write(tree / "DEBIAN" / "postinst", POSTINST.format(release=release))
        (tree / "DEBIAN" / "postinst").chmod(0o755)
    else:
        _write(tree / "usr/share" / name / "version", f"{version}\n")
    file = directory / f"{name}_{version}_all.deb"
    command = ["dpkg-deb", "--root-owner-group", "-Zgzip", "--build", str(tree), str(file)]
    subprocess.run(command, check=True, capture_output=True)
    shutil.rmtree(tree)
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    size = file.stat().st_size
    return f"{control}Filename: ./{file.name}\nSize: {size}\nSHA256: {digest}\n"


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
