"""Run the project on a bare machine: ``python3 -m tests`` (all tests) or ``python3 -m tests demo``.

Needs nothing but Python's standard library: it makes a virtual environment with tox in it, and
tox does the rest.  Arguments after ``demo`` or the name of a tox environment are passed on.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
HOME = ROOT / ".tox" / "bootstrap"
MINIMUM = (3, 11)


def main(arguments: list[str]) -> int:
    """Prepare tox if need be, and run it."""
    if sys.version_info < MINIMUM:
        sys.exit(f"Python {MINIMUM[0]}.{MINIMUM[1]} or newer is needed, this is {sys.version}")
    tox = prepare()
    names, rest = arguments[:1], arguments[1:]
    command = [str(tox), "run", *(["-e", names[0]] if names else [])]
    if rest:
        command += ["--", *rest]
    return subprocess.call(command, cwd=ROOT)


def prepare() -> Path:
    """Return tox, installed in an environment of its own."""
    tox = HOME / "bin" / "tox"
    if tox.exists():
        return tox
    needed = [] if has_venv() else ["python3-venv"]
    needed += [] if shutil.which("git") else ["git"]
    needed += [] if shutil.which("ssh") else ["openssh-client"]
    needed += [] if shutil.which("gcc") else ["gcc", "libc6-dev", "python3-dev"]
    if needed:
        install(needed)
    subprocess.check_call([sys.executable, "-m", "venv", str(HOME)])
    subprocess.check_call([str(HOME / "bin" / "pip"), "install", "--quiet", "tox>=4.20"])
    return tox


def has_venv() -> bool:
    """Whether this Python can make virtual environments with pip in them."""
    probe = [sys.executable, "-c", "import venv, ensurepip"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0


def install(packages: list[str]) -> None:
    """Install Debian packages, or say which are missing."""
    if os.geteuid() != 0 or not shutil.which("apt-get"):
        sys.exit(f"these Debian packages are missing: {' '.join(packages)} (run this as root)")
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for command in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends"]):
        extra = packages if command[0] == "install" else []
        subprocess.check_call(["apt-get", *command, *extra], env=environment)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
