"""The two releases of an audit: as they come with the package, or as environments know them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from upgrade_flows.config_audit import environment, metadata, services
from upgrade_flows.config_audit.metadata import Release
from upgrade_flows.errors import RequestError


def releases(
    old: str,
    new: str,
    files: Sequence[tuple[str, str]],
    service: str | None = None,
    environments: Sequence[tuple[str, Path]] = (),
    plugins: Sequence[str] = (),
) -> tuple[Release, Release]:
    """Return the releases that files are compared with.

    :param environments: releases, and virtualenvs in which the services of the files are.
    :param plugins: packages in them that add options to the services.
    :raises RequestError: a release is unknown, or they are not one after the other.
    """
    if not old < new:
        raise RequestError(f"--from {old} is not before --to {new}")
    wanted = [service] if service else [services.service_of(path) for path, _ in files]
    found = {name: _release(name, environments) for name in (old, new)}
    for name, place in environments:
        if name not in found:
            raise RequestError(f"--environment {name}={place}: it is neither --from nor --to")
        for one in dict.fromkeys(one for one in wanted if one):
            found[name] = environment.with_environment(found[name], place, one, plugins)
    return found[old], found[new]


def _release(name: str, environments: Sequence[tuple[str, Path]]) -> Release:
    if name not in metadata.names() and any(name == one for one, _ in environments):
        return Release(name, {})
    return metadata.load(name)
