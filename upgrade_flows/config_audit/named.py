"""What values name that is installed with a service: modules, and plugins by entry point."""

from __future__ import annotations

import re
from collections.abc import Iterator

from upgrade_flows.config_audit.inifile import Setting
from upgrade_flows.config_audit.metadata import Option, Service
from upgrade_flows.config_audit.services import Reading, fits, rules

#: a module with, perhaps, a class in it
DOTTED = re.compile(r"[a-z_][\w]*(\.[A-Za-z_]\w*){2,}")


def missing(
    before: Reading | None, after: Reading, service: str, setting: Setting, option: Option
) -> Iterator[str]:
    """Yield what a value names that came with the old release and does not with the new one."""
    if before is None or option.secret:
        return
    for name in re.split(r"[,\s]+", setting.value):
        if DOTTED.fullmatch(name):
            if _module(before.service, name) and not _module(after.service, name):
                yield f"the module of {name}"
            continue
        for group in _groups(service, option):
            if name in before.service.plugins.get(
                group, ()
            ) and name not in after.service.plugins.get(group, ()):
                yield f"the plugin {name} ({group})"


def _module(service: Service, name: str) -> bool:
    """Whether a dotted name is a module, or something in one."""
    return name in service.modules or name.rpartition(".")[0] in service.modules


def _groups(service: str, option: Option) -> Iterator[str]:
    for rule in rules()["plugins"]:
        if fits(rule, service) and re.fullmatch(rule["option"], str(option)):
            yield rule["group"].replace("{group}", option.group)
