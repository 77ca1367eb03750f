"""All packages of a host, as it was at one moment."""

from __future__ import annotations

import base64
import zlib
from collections.abc import Collection
from dataclasses import dataclass

#: how the states of packages begin that dpkg has not finished
HALF = ("half-", "unpacked", "triggers-")


@dataclass(frozen=True)
class Listing:
    """What the package manager has.

    :param installed: pairs of name (with the architecture where it is needed) and version.
    :param configured: removed packages whose configuration files are still there.
    :param automatic: packages that are there only because others need them.
    :param half: packages whose installation was interrupted.
    """

    installed: frozenset[tuple[str, str]] = frozenset()
    configured: frozenset[str] = frozenset()
    automatic: frozenset[str] = frozenset()
    half: frozenset[str] = frozenset()

    @classmethod
    def of(cls, rows: list[list[str]]) -> Listing:
        """Make one of what the script ``observe`` said."""
        return cls(
            frozenset((r[1], r[2]) for r in rows if r[0] == "installed" and len(r) == 3),
            frozenset(r[1] for r in rows if r[0] == "config-files" and len(r) >= 2),
            frozenset(r[1] for r in rows if r[0] == "automatic" and len(r) == 2),
            frozenset(r[1] for r in rows if r[0].startswith(HALF) and len(r) >= 2),
        )

    def packed(self) -> str:
        """Return it as a short text, for the journal."""
        rows = [["installed", *pair] for pair in self.installed]
        rows += [["config-files", name] for name in self.configured]
        rows += [["automatic", name] for name in self.automatic]
        return pack("\n".join("\t".join(row) for row in sorted(rows)).encode())

    @classmethod
    def unpacked(cls, text: str) -> Listing:
        """Make one of what ``packed`` returned."""
        return cls.of([row.split("\t") for row in unpack(text).decode().split("\n")])

    def versions(self, name: str) -> str:
        """Return the installed versions of a package, of any architecture, parted by spaces."""
        return " ".join(
            sorted({v for n, v in self.installed if n == name or n.partition(":")[0] == name})
        )

    def restricted(self, names: Collection[str]) -> Listing:
        """Return the same listing of some packages only."""
        return Listing(
            frozenset(pair for pair in self.installed if pair[0] in names),
            self.configured.intersection(names),
            self.automatic.intersection(names),
            self.half.intersection(names),
        )


def changed(before: Listing, after: Listing) -> dict[str, list[str]]:
    """Return the packages that differ: name to the versions before and after (``""``: none)."""
    names = {name for name, _ in before.installed ^ after.installed}
    return {
        name: [
            " ".join(sorted(v for n, v in one.installed if n == name)) for one in (before, after)
        ]
        for name in sorted(names)
    }


def pack(content: bytes) -> str:
    """Return bytes as a short text."""
    return base64.b64encode(zlib.compress(content, 9)).decode()


def unpack(text: str) -> bytes:
    """Return the bytes of what ``pack`` returned."""
    return zlib.decompress(base64.b64decode(text))
