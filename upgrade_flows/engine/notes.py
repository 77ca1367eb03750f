"""What a long step asks of its run: moments put on record, things held, whether to park."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable
from typing import Any

from upgrade_flows.engine.claims import Claims
from upgrade_flows.engine.leases import Keeper, Lease
from upgrade_flows.engine.ledger import Ledger


class Notes:
    """The ``steps.base.Records`` of one subject that is being worked on."""

    def __init__(
        self, ledger: Ledger, claims: Claims, keeper: Keeper, parking: Callable[[], bool]
    ) -> None:
        self._ledger, self._claims, self._keeper = ledger, claims, keeper
        self._parking = parking
        self._held: dict[str, Lease] = {}
        self._lock = threading.Lock()

    def tell(self, what: str, facts: dict[str, Any]) -> None:
        """Put something that happened on record, at once, as a part of the step under way."""
        part = f"move-server:{facts.get('instance', '')}"
        self._ledger.event(what, json.dumps(facts, sort_keys=True), part)
        self._ledger.commit()

    def hold(self, subject: str) -> None:
        """Keep other runs from working on something that is no subject of this one."""
        with self._lock:
            if subject not in self._held:
                self._held[subject] = self._claims.hold(self._ledger.lease, subject, self._keeper)

    def release(self, subject: str | None = None) -> None:
        """Let go of what is held; without a name, of everything."""
        with self._lock:
            names = list(self._held) if subject is None else [subject]
            for name in names:
                held = self._held.pop(name, None)
                if held is not None:
                    self._claims.let_go(held, self._keeper)

    def parking(self) -> bool:
        """Whether nothing more is to be begun."""
        return self._parking()
