"""What every step of a host's upgrade knows: the host, its plugin, and what the operator wants."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from upgrade_flows import errors
from upgrade_flows.cloud import wait
from upgrade_flows.flows.host_upgrade.options import Options
from upgrade_flows.model.plan import Action
from upgrade_flows.plugins.base import HostPlugin
from upgrade_flows.steps.base import Context, Step

#: seconds for which a host may not answer while nothing keeps it from answering
PATIENCE_S = 60.0


class HostStep(Step):
    """A step whose subject is a compute host."""

    def __init__(self, ctx: Context, action: Action, **more: Any) -> None:
        super().__init__(ctx, action.subject, **more)
        self.details = action.details
        self.settings: dict[str, Any] = action.details["settings"]
        self.options = Options.read(action.details["options"])

    @property
    def host(self) -> str:
        """The name of the host."""
        return self.subject

    @property
    def plugin(self) -> HostPlugin:
        """The plugin that works on the host.

        :raises PluginError: it is not installed in this process.
        """
        return plugin_of(self.ctx, str(self.details["plugin"]))

    def look(self) -> dict[str, Any]:
        """Return what the host is now; a connection that is lost is tried again for a while.

        :raises HostError: it refuses.
        :raises TimedOut: it does not answer.
        """
        return self.wait_for(f"host {self.host} to answer", lambda _: True, PATIENCE_S)

    def wait_for(
        self, what: str, done: Callable[[dict[str, Any]], bool], deadline_s: float
    ) -> dict[str, Any]:
        """Look at the host until it is as it should be, and return what it is.

        :raises HostError: it refuses.
        :raises TimedOut: it did not answer, or was not so, within the deadline.
        """

        def look() -> dict[str, Any]:
            try:
                return self.plugin.look(self.host, self.settings)
            except errors.HostUnreachable as exc:
                raise errors.Unavailable(str(exc)) from exc

        return wait.until(
            self.ctx.cloud.clock, what, look, done, deadline_s=deadline_s, first_s=0.5, most_s=5.0
        )


def plugin_of(ctx: Context, name: str) -> HostPlugin:
    """Return a host plugin by its name.

    :raises PluginError: it is not installed in this process.
    """
    try:
        plugin: HostPlugin = ctx.plugins.host[name]
    except KeyError:
        known = ", ".join(sorted(ctx.plugins.host)) or "none"
        raise errors.PluginError(f"there is no host plugin {name!r} (known: {known})") from None
    return plugin
