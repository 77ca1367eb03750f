"""Amounts of several resource classes in one integer, so that they are compared at once.

Each class has 64 bits, the top one being a guard: ``(have | guard) - need`` keeps every guard
where everything fits.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

WIDTH = 64
FIELD = (1 << (WIDTH - 1)) - 1


class Amounts:
    """The resource classes that there are, and where each has its bits."""

    def __init__(self, found: Iterable[Mapping[str, int]]) -> None:
        names: set[str] = set()
        seen: set[int] = set()
        for amounts in found:
            if id(amounts) not in seen:
                seen.add(id(amounts))
                names.update(amounts)
        self.shift = {name: WIDTH * n for n, name in enumerate(sorted(names))}
        self.guard = sum(1 << (at + WIDTH - 1) for at in self.shift.values())

    def pack(self, amounts: Mapping[str, int]) -> int:
        """Return amounts as one integer."""
        return sum(amount << self.shift[name] for name, amount in amounts.items() if amount)

    def fits(self, need: int, capacity: int) -> bool:
        """Whether ``need`` is within ``capacity``, in every resource class."""
        return ((capacity | self.guard) - need) & self.guard == self.guard

    def lacking(self, need: int, capacity: int) -> list[str]:
        """Return the resource classes in which ``need`` exceeds ``capacity``."""
        kept = ((capacity | self.guard) - need) & self.guard
        return [name for name, at in self.shift.items() if not kept >> (at + WIDTH - 1) & 1]

    def amount(self, packed: int, name: str) -> int:
        """Return the amount of one resource class."""
        return packed >> self.shift[name] & FIELD

    def share(self, packed: int, share: float) -> int:
        """Return a share of packed amounts, each rounded up."""
        parts = round(share * 10**6)
        return self.pack(
            {name: -(-self.amount(packed, name) * parts // 10**6) for name in self.shift}
        )
