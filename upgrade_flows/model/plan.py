"""What will be done, in which order, at what cost: shown before it runs, and run as shown."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import Any

from upgrade_flows.errors import PlanChanged, RequestError
from upgrade_flows.model import codec
from upgrade_flows.model.report import Finding
from upgrade_flows.model.request import UpgradeRequest

FORMAT = 1


@dataclass(frozen=True)
class Prediction:
    """Seconds that an action is expected to take, and what the subject's users notice of it."""

    downtime_s: float = 0.0
    duration_s: float = 0.0
    basis: str = "default"


@dataclass(frozen=True)
class Action:
    """One thing to do to one subject.

    ``because`` names the rules that excluded the cheaper strategies; ``declares`` the fields
    of the subject's identity that will differ afterwards; ``details`` is what the flow is
    built from (plain JSON, and nothing else is ever read to build it).
    """

    capability: str
    subject: str
    name: str
    strategy: str
    because: tuple[str, ...] = ()
    declares: tuple[str, ...] = ()
    details: dict[str, Any] = field(default_factory=dict)
    prediction: Prediction = Prediction()
    digest: str = ""


@dataclass(frozen=True)
class Gate:
    """What must hold before the next wave starts."""

    max_failures: int = 0


@dataclass(frozen=True)
class Wave:
    """Actions that may run at the same time, and the gate behind them."""

    name: str
    actions: tuple[Action, ...]
    at_a_time: int = 1
    gate: Gate = Gate()
    canary: bool = False


@dataclass(frozen=True)
class Plan:
    """A request worked out for one cloud at one moment.

    ``findings`` hold what was refused and why; ``unchanged`` the subjects in scope that need
    nothing; ``schedule`` is what ``planning.hosts`` worked out for a capability that rolls;
    ``digest`` covers everything else, so that an edited plan is noticed.
    """

    id: str
    created: str
    cloud_id: str
    request: UpgradeRequest
    waves: tuple[Wave, ...] = ()
    findings: tuple[Finding, ...] = ()
    unchanged: tuple[str, ...] = ()
    schedule: dict[str, Any] = field(default_factory=dict)
    format: int = FORMAT
    digest: str = ""

    @property
    def actions(self) -> tuple[Action, ...]:
        """All actions, in the order of the waves."""
        return tuple(action for wave in self.waves for action in wave.actions)

    def action(self, subject: str) -> Action:
        """Return the action on a subject.

        :raises KeyError: the plan has none.
        """
        for action in self.actions:
            if action.subject == subject:
                return action
        raise KeyError(subject)

    def computed_digest(self) -> str:
        """Return the digest that the plan's content has."""
        plain = codec.to_plain(dataclasses.replace(self, digest=""))
        if not self.schedule:  # as in plans from before there were schedules
            del plain["schedule"]
        return codec.digest(plain)

    def sealed(self) -> Plan:
        """Return the plan with its digest filled in."""
        return dataclasses.replace(self, digest=self.computed_digest())

    def check_for(self, cloud_id: str) -> None:
        """Refuse a plan that was edited or made for another cloud.

        :raises PlanChanged: says which of the two.
        """
        if self.computed_digest() != self.digest:
            raise PlanChanged(
                f"plan {self.id} was edited after it was made (its content no longer matches"
                " its digest); make a new plan from the changed request instead"
            )
        if self.cloud_id != cloud_id:
            raise PlanChanged(
                f"plan {self.id} was made for the cloud {self.cloud_id}, not for {cloud_id}"
            )

    def to_json(self) -> str:
        """Return the plan as indented JSON text."""
        return json.dumps(codec.to_plain(self), indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> Plan:
        """Read a plan.

        :raises RequestError: the text is no plan of a format that we know.
        """
        try:
            plain = json.loads(text)
        except ValueError as exc:
            raise RequestError(f"not a plan: the file is not JSON ({exc})") from exc
        if not isinstance(plain, dict) or plain.get("format") != FORMAT:
            raise RequestError(f"not a plan: expected an object with format {FORMAT}")
        try:
            return codec.from_plain(cls, plain)
        except (ValueError, TypeError) as exc:
            raise RequestError(f"not a plan: {exc}") from exc
