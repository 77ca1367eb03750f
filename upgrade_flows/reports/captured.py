"""What a capture has made: the image, the snapshots that it refers to, and whether it boots."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from rich.console import RenderableType

from upgrade_flows.model.report import Report
from upgrade_flows.reports import residue, words


@dataclass(frozen=True)
class Captured:
    """One captured instance; ``snapshots`` say which volume they are of."""

    server: str
    image: str
    name: str
    verified: str
    snapshots: tuple[str, ...]


def of(report: Report) -> tuple[Captured, ...]:
    """Return what was captured and is still there; nothing for another capability."""
    return tuple(
        _captured(outcome.name or outcome.subject, outcome.result["image"])
        for outcome in report.outcomes
        if outcome.state not in residue.TAKEN_BACK and isinstance(outcome.result.get("image"), dict)
    )


def parts(made: tuple[Captured, ...]) -> Iterator[RenderableType]:
    """Yield what is printed of captures."""
    if not made:
        return
    yield ""
    yield "Captured:"
    for one in made:
        head = f"  {words.safe(one.server)}: image {words.safe(one.image)}"
        yield f"{head} {words.safe(one.name)} ({words.safe(one.verified)})"
        for snapshot in one.snapshots:
            yield f"    {words.safe(snapshot)}"


def _captured(server: str, image: dict[str, Any]) -> Captured:
    return Captured(
        server=server,
        image=str(image.get("id", "")),
        name=str(image.get("name", "")),
        verified=str(image.get("verified", "")) or "not verified",
        snapshots=tuple(
            f"snapshot {snapshot} of volume {volume}"
            for volume, snapshot in dict(image.get("snapshots") or {}).items()
        ),
    )
