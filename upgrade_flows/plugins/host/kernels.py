"""Kernels that are to come, and the out-of-tree modules that would be missing in them."""

from __future__ import annotations

import re
from typing import Any

from upgrade_flows.plugins.host.wanted import Wanted

KERNEL_PACKAGE = re.compile(r"(?:linux-image|kernel(?:-core)?)-(?:unsigned-)?(\d[^=:]*)")


def without_headers(
    host: str, wanted: Wanted, facts: dict[str, Any], coming: set[str]
) -> list[str]:
    """Say which modules would not be built for a kernel that is to come, for want of headers."""
    names = {*wanted.packages, *coming}
    releases = {found[1] for name in names if (found := KERNEL_PACKAGE.fullmatch(name))}
    if wanted.kernel:
        releases.add(wanted.kernel)
    said = []
    for release in sorted(releases):
        headers = release in facts.get("headers", []) or any(
            name.startswith(("linux-headers-", "kernel-devel")) and name.endswith(release)
            for name in names
        )
        headers = headers or "kernel-devel" in names
        for module, built in facts.get("modules", {}).items():
            if release not in built and not headers:
                said.append(
                    f"{host}: module {module} cannot be built for kernel {release}: its headers are"
                    " not installed, and not among the packages"
                )
    return said
