"""What every step has: a context, a subject, a name that lasts and a tag for what it creates."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from taskflow import task

from upgrade_flows import errors
from upgrade_flows.cloud.api import Cloud
from upgrade_flows.model import codec
from upgrade_flows.model.inventory import Port
from upgrade_flows.model.report import Residue
from upgrade_flows.steps.vault import Vault


@dataclass(frozen=True)
class Settings:
    """Deadlines of the steps, in seconds, and how many calls one step makes at a time."""

    server_s: float = 300.0
    image_s: float = 3600.0
    volume_s: float = 300.0
    port_s: float = 120.0
    arrival_s: float = 900.0
    live_migration_s: float = 120.0
    live_migration_s_per_gib: float = 30.0
    cold_migration_s: float = 3600.0
    reboot_s: float = 1800.0
    compute_s: float = 300.0
    calls_at_a_time: int = 8


class Plugins(Protocol):
    """The plugins of one process, by kind and name (``plugins.registry`` makes it)."""

    @property
    def network(self) -> Mapping[str, Any]: ...

    @property
    def storage(self) -> Mapping[str, Any]: ...

    @property
    def host(self) -> Mapping[str, Any]: ...

    @property
    def placement(self) -> Mapping[str, Any]: ...

    @property
    def workload(self) -> Mapping[str, Any]: ...

    def mode_of(self, port: Port) -> str:
        """Return the mode that a port is bound in, in words."""


class Records(Protocol):
    """What a long step can ask of the run that it is part of (``engine.ledger`` makes it)."""

    def tell(self, what: str, facts: dict[str, Any]) -> None:
        """Put something that happened on record, at once.

        :raises SubjectBusy: somebody else works on the subject now; nothing more may be done.
        """

    def hold(self, subject: str) -> None:
        """Keep other runs from working on something that is no subject of this one.

        :raises SubjectBusy: somebody works on it, or has not brought it to an end.
        """

    def release(self, subject: str | None = None) -> None:
        """Let go of what is held; without a name, of everything."""

    def parking(self) -> bool:
        """Whether nothing more is to be begun."""


class NoRecords:
    """For flows that are part of no run."""

    def tell(self, what: str, facts: dict[str, Any]) -> None:
        """Forget it."""

    def hold(self, subject: str) -> None:
        """Hold nothing."""

    def release(self, subject: str | None = None) -> None:
        """Hold nothing."""

    def parking(self) -> bool:
        """Go on."""
        return False


@dataclass(frozen=True)
class Context:
    """What a flow is built with besides its subject: nothing of it is persisted."""

    run_id: str
    cloud: Cloud
    plugins: Plugins
    settings: Settings = field(default_factory=Settings)
    vault: Vault = field(default_factory=Vault.temporary)
    records: Records = field(default_factory=NoRecords)


class Step(task.Task):
    """Do one thing to one subject, and know how to undo it.

    A step's name, ``<verb>-<object>:<subject>``, is a persisted identifier: a resumed run finds
    the step by it.  ``symbols`` rename what ``execute`` requires, as TaskFlow's ``rebind`` does.
    """

    def __init_subclass__(cls, **more: Any) -> None:
        """Work the signatures out once: TaskFlow asks for them again with every step made."""
        super().__init_subclass__(**more)
        for name in ("execute", "revert"):
            method = vars(cls).get(name)
            if inspect.isfunction(method):
                setattr(method, "__signature__", inspect.signature(method))  # noqa: B010

    def __init__(
        self,
        ctx: Context,
        subject: str,
        *,
        provides: str | None = None,
        rebind: dict[str, str] | None = None,
        qualifier: str = "",
    ) -> None:
        self.ctx = ctx
        self.subject = subject
        name = f"{_dashed(type(self).__name__)}:{qualifier or subject}"
        super().__init__(name=name, provides=provides, rebind=rebind)

    @property
    def tag(self) -> str:
        """What marks everything that this step creates: ``<run>/<step>``."""
        return f"{self.ctx.run_id}/{self.name}"

    @property
    def short_tag(self) -> str:
        """The tag for places that allow 60 plain characters (Nova's server tags)."""
        return "upgrade-flows-" + hashlib.sha256(self.tag.encode()).hexdigest()[:20]


def undo(step: Step, call: Callable[..., object], *args: Any) -> dict[str, Any] | None:
    """Make an undoing call; return None, or the residue if the cloud refuses.

    The residue is the revert's result, which the journal keeps and the report shows.  What is
    already gone needs no undo.
    """
    try:
        call(*args)
    except errors.NotFound:
        return None
    except errors.UpgradeFlowsError as exc:
        return residue(step, call, args, exc)
    return None


def note(step: Step, said: str) -> dict[str, Any]:
    """Describe what an undo could not keep, where there is nothing left to remove."""
    return {"residue": codec.to_plain(Residue(step=step.name, call="", why=said))}


def residue(
    step: Step, call: Callable[..., object], args: tuple[Any, ...], why: Exception
) -> dict[str, Any]:
    """Describe what an undo leaves behind, as plain JSON."""
    name = getattr(call, "__qualname__", getattr(call, "__name__", repr(call)))
    said = f"{name}({', '.join(_short(repr(arg)) for arg in args)})"
    return {"residue": codec.to_plain(Residue(step=step.name, call=said, why=str(why)))}


def _short(text: str, most: int = 120) -> str:
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _dashed(name: str) -> str:
    return "".join(f"-{char.lower()}" if char.isupper() else char for char in name).lstrip("-")
