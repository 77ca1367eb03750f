"""What Nova's releases say of versions, as data; read from the code of each release.

Sources, in the release that is named: ``nova/objects/service.py`` (SERVICE_VERSION,
SERVICE_VERSION_HISTORY, SERVICE_VERSION_ALIASES, OLDEST_SUPPORTED_SERVICE_VERSION) and
``nova/virt/libvirt/driver.py`` (MIN_LIBVIRT_VERSION, MIN_QEMU_VERSION, NEXT_MIN_...).
"""

from __future__ import annotations

from dataclasses import dataclass

from upgrade_flows.checks.base import NothingToLookAt

Version = tuple[int, int, int]


@dataclass(frozen=True)
class NovaRelease:
    """One release of Nova.

    :param nova: the version that was read.
    :param service: the version that its services report.
    :param oldest: the oldest version of nova-compute beside which its services start.
    :param libvirt: and ``qemu``: the oldest that its nova-compute starts with.
    :param next_libvirt: and ``next_qemu``: what it announces for a later release.
    """

    release: str
    nova: str
    service: int
    oldest: int
    libvirt: Version
    qemu: Version
    next_libvirt: Version
    next_qemu: Version


_V6, _V7, _V8 = ((6, 0, 0), (4, 2, 0)), ((7, 0, 0), (5, 2, 0)), ((8, 0, 0), (6, 2, 0))
_V10 = ((10, 0, 0), (8, 2, 2))

#: oldest first
NOVA = (
    NovaRelease("2023.1", "27.5.1", 66, 61, *_V6, *_V7),
    NovaRelease("2023.2", "28.3.1", 66, 66, *_V7, *_V8),
    NovaRelease("2024.1", "29.4.0", 67, 66, *_V7, *_V8),
    NovaRelease("2024.2", "30.3.0", 67, 66, *_V7, *_V8),
    NovaRelease("2025.1", "31.3.1", 68, 66, *_V8, *_V10),
    NovaRelease("2025.2", "32.2.1", 70, 68, *_V8, *_V10),
    NovaRelease("2026.1", "33.0.2", 72, 68, *_V8, *_V10),
    NovaRelease("2026.2", "34.0.0", 74, 72, *_V8, *_V10),
)

#: from which service version on ``upgrade_levels=auto`` comes to which version of the compute RPC
#: API (SERVICE_VERSION_HISTORY of 34.0.0, without what repeats the one before)
COMPUTE_RPC = (
    (0, "4.0"),
    (1, "4.4"),
    (2, "4.5"),
    (3, "4.6"),
    (5, "4.7"),
    (6, "4.8"),
    (7, "4.9"),
    (8, "4.10"),
    (9, "4.11"),
    (11, "4.12"),
    (13, "4.13"),
    (18, "4.14"),
    (19, "4.15"),
    (20, "4.16"),
    (21, "4.17"),
    (23, "4.18"),
    (26, "4.19"),
    (27, "4.20"),
    (28, "4.21"),
    (29, "4.22"),
    (30, "5.0"),
    (37, "5.1"),
    (39, "5.2"),
    (40, "5.3"),
    (41, "5.4"),
    (42, "5.5"),
    (43, "5.6"),
    (44, "5.7"),
    (45, "5.8"),
    (46, "5.9"),
    (47, "5.10"),
    (50, "5.11"),
    (53, "5.12"),
    (54, "5.13"),
    (56, "6.0"),
    (64, "6.1"),
    (66, "6.2"),
    (67, "6.3"),
    (68, "6.4"),
    (71, "6.5"),
)
NEWEST_SERVICE = NOVA[-1].service


def nova(target: str) -> NovaRelease:
    """Return what is known of a release; without one, of the newest.

    :raises NothingToLookAt: nothing is.
    """
    if not target:
        return NOVA[-1]
    for release in NOVA:
        if release.release == target:
            return release
    raise NothingToLookAt(
        f"what Nova {target} needs is not known; known are {NOVA[0].release} to {NOVA[-1].release}"
    )


def compute_rpc(service: int) -> str:
    """Return the compute RPC version of a service version; of a newer one than is known, "?"."""
    if service > NEWEST_SERVICE:
        return "?"
    return max((since, version) for since, version in COMPUTE_RPC if since <= service)[1]


def text(version: Version) -> str:
    """Return a version as it is written."""
    return ".".join(str(part) for part in version)


def of_number(number: int) -> Version:
    """Return the version that a hypervisor reports as one number: 8002003 is 8.2.3."""
    return number // 1_000_000, number // 1_000 % 1_000, number % 1_000
