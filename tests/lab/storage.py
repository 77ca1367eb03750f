"""Mount what Cinder's NFS driver takes for its share: no NFS server is needed."""

from __future__ import annotations

import hashlib
import subprocess
from pathlib import Path

from tests.lab.errors import LabError
from tests.lab.settings import Settings


def mount(settings: Settings) -> None:
    """Mount a file system whose source is called like the share where Cinder looks for it.

    An overlay takes any name for its source, and its files are still there after a restart.
    """
    point = mount_point(settings)
    if point in _mounted():
        return
    layers = {name: settings.run / "volumes" / name for name in ("lower", "upper", "work")}
    for folder in (point, *layers.values()):
        folder.mkdir(parents=True, exist_ok=True)
    options = "lowerdir={lower},upperdir={upper},workdir={work}".format(**layers)
    argv = ["mount", "-t", "overlay", "-o", options, settings.volume_share, str(point)]
    result = subprocess.run(argv, capture_output=True, text=True)
    if result.returncode:
        raise LabError(f"{' '.join(argv)} failed: {result.stderr.strip()}")


def unmount(settings: Settings) -> None:
    """Unmount whatever is mounted below the lab's run folder."""
    inside = [point for point in _mounted() if point.is_relative_to(settings.run)]
    for point in sorted(inside, key=lambda path: len(path.parts), reverse=True):
        if subprocess.run(["umount", str(point)], capture_output=True).returncode:
            subprocess.run(["umount", "--lazy", str(point)], check=True)


def mount_point(settings: Settings) -> Path:
    """Return where Cinder mounts its share."""
    digest = hashlib.md5(settings.volume_share.encode()).hexdigest()
    return settings.run / "cinder" / "mnt" / digest


def _mounted() -> list[Path]:
    lines = Path("/proc/self/mounts").read_text().splitlines()
    return [Path(line.split()[1]) for line in lines]
