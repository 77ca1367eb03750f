"""The releases of OpenStack in their order, by all of their names."""

from __future__ import annotations

from upgrade_flows.errors import RequestError

#: https://releases.openstack.org, oldest first; a release that is missing at the end is unknown
RELEASES = (
    ("kilo",),
    ("liberty",),
    ("mitaka",),
    ("newton",),
    ("ocata",),
    ("pike",),
    ("queens",),
    ("rocky",),
    ("stein",),
    ("train",),
    ("ussuri",),
    ("victoria",),
    ("wallaby",),
    ("xena",),
    ("yoga",),
    ("zed",),
    ("2023.1", "antelope"),
    ("2023.2", "bobcat"),
    ("2024.1", "caracal"),
    ("2024.2", "dalmatian"),
    ("2025.1", "epoxy"),
    ("2025.2", "flamingo"),
    ("2026.1", "gazpacho"),
    ("2026.2", "hibiscus"),
)
_PLACES = {name: place for place, names in enumerate(RELEASES) for name in names}


def named(text: str) -> str:
    """Return the first name of a release, as in ``2025.1`` or ``zed``; "" stays "".

    :raises RequestError: it is unknown.
    """
    if not text:
        return ""
    place = _PLACES.get(text.strip().lower())
    if place is None:
        newest = RELEASES[-1][0]
        raise RequestError(f"the release {text!r} is unknown; known are kilo to {newest}")
    return RELEASES[place][0]


def reached(release: str, target: str) -> bool:
    """Whether an upgrade to ``target`` comes to ``release``; without a target, always."""
    return not target or _PLACES[release] <= _PLACES[target]
