"""Fetch the sources that confirm what the configuration audit says.

``python -m tests.sources DIR``: each package of ``evidence.yaml`` as released, unpacked as
``DIR/NAME-VERSION``; what is there stays.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

import yaml

EVIDENCE = Path(__file__).parent / "unit" / "config_audit_files" / "evidence.yaml"


def needed() -> list[tuple[str, str]]:
    """Return names and versions of the packages that findings are confirmed in."""
    recorded = yaml.safe_load(EVIDENCE.read_text(encoding="utf-8"))
    return sorted({tuple(one["package"].split()) for one in recorded})


def folder_of(sources: Path, name: str, version: str) -> Path:
    """Return where the sources of a package are unpacked."""
    return sources / f"{re.sub('[-.]', '_', name)}-{version}"


def fetch(sources: Path) -> None:
    """Fetch what is missing.

    :raises CalledProcessError: a package cannot be downloaded; pip has said why.
    """
    sources.mkdir(parents=True, exist_ok=True)
    for name, version in needed():
        if folder_of(sources, name, version).is_dir():
            continue
        with tempfile.TemporaryDirectory(dir=sources) as folder:
            options = ["--quiet", "--no-deps", "--no-binary", ":all:", "--dest", folder]
            pip = [sys.executable, "-m", "pip", "download", *options, f"{name}=={version}"]
            subprocess.run(pip, check=True)
            (archive,) = Path(folder).glob("*.tar.gz")
            with tarfile.open(archive) as packed:
                packed.extractall(folder, filter="data")
            (unpacked,) = (path for path in Path(folder).iterdir() if path.is_dir())
            unpacked.rename(folder_of(sources, name, version))
        print(f"{name} {version}", flush=True)


if __name__ == "__main__":
    fetch(Path(sys.argv[1]))
