"""Residue as the ``openstack`` command that removes it."""

from __future__ import annotations

import ast
import shlex
from collections.abc import Callable

from upgrade_flows.model.report import Outcome, Residue, State

Arguments = list[str]

#: the cloud API's methods, as what the client calls them
COMMANDS: dict[str, Callable[[Arguments], list[str]]] = {
    "start": lambda a: ["server", "start", a[0]],
    "stop": lambda a: ["server", "stop", a[0]],
    "pause": lambda a: ["server", "pause", a[0]],
    "unpause": lambda a: ["server", "unpause", a[0]],
    "attach_port": lambda a: ["server", "add", "port", a[0], a[1]],
    "detach_port": lambda a: ["server", "remove", "port", a[0], a[1]],
    "detach_volume": lambda a: ["server", "remove", "volume", a[0], a[1]],
    "delete_port": lambda a: ["port", "delete", a[0]],
    "delete_snapshot": lambda a: ["volume", "snapshot", "delete", a[0]],
    "lock": lambda a: ["server", "lock", "--reason", a[1], a[0]],
    "unlock": lambda a: ["server", "unlock", a[0]],
    "confirm_migration": lambda a: ["server", "migrate", "confirm", a[0]],
    "revert_migration": lambda a: ["server", "migrate", "revert", a[0]],
    "migrate": lambda a: ["server", "migrate", *_option("--host", a[1:]), a[0]],
    "unshelve": lambda a: ["server", "unshelve", *_option("--host", a[1:]), a[0]],
    "shelve": lambda a: ["server", "shelve", a[0]],
    "offload": lambda a: ["server", "shelve", "--offload", a[0]],
    "bind": lambda a: ["port", "set", "--host", a[1], a[0]],
    "unbind": lambda a: ["port", "unset", "--host", a[0]],
    "set_owner": lambda a: ["port", "set", "--device", a[1], "--device-owner", a[2], a[0]],
    "set_dns_name": lambda a: ["port", "set", "--dns-name", a[1], a[0]],
    "delete_keypair": lambda a: ["keypair", "delete", a[0]],
    "set_host_enabled": lambda a: [
        "compute", "service", "set", "--enable" if a[1] == "True" else "--disable",
        a[0], "nova-compute",
    ],
    "set_delete_on_termination": lambda a: [
        "server", "volume", "update",
        "--delete-on-termination" if a[2] == "True" else "--preserve-on-termination",
        a[0], a[1],
    ],
}  # fmt: skip


#: whose ``delete`` it is that deletes which things; Nova's deletes servers
DELETES = {"image": "image", "volume": "volume"}

#: states in which what a change made different has been taken back
TAKEN_BACK = (State.FAILED, State.UNDONE, State.RESIDUE)


def standing(outcome: Outcome) -> dict[str, list[str]]:
    """Return the identity difference of an outcome, as far as it was not taken back."""
    return {} if outcome.state in TAKEN_BACK else dict(outcome.identity_difference)


def remedy(residue: Residue, run_id: str) -> str:
    """Say what an operator does about a residue."""
    if not residue.call:
        return "nothing to remove: it is only to be known"
    one = command(residue)
    if one:
        return f"remove it with: {one}"
    return f"try to undo it again with: upgrade-flows rollback {run_id}"


def command(residue: Residue) -> str:
    """Return the command that removes a residue; empty where no single command does."""
    try:
        call = ast.parse(residue.call, mode="eval").body
    except SyntaxError:
        return ""
    if not isinstance(call, ast.Call):
        return ""
    owner, _, method = ast.unparse(call.func).rpartition(".")
    arguments = [_argument(node) for node in call.args]
    try:
        if method == "delete":
            kinds = (kind for name, kind in DELETES.items() if name in owner.lower())
            words = [next(kinds, "server"), "delete", arguments[0]]
        else:
            words = COMMANDS[method](arguments)
    except (KeyError, IndexError):
        return ""
    return shlex.join(["openstack", *words])


def _option(name: str, values: Arguments) -> list[str]:
    return [name, values[0]] if values and values[0] != "None" else []


def _argument(node: ast.expr) -> str:
    if isinstance(node, ast.Constant):
        return str(node.value)
    if isinstance(node, ast.Call):  # the repr of an AttachedVolume
        for keyword in node.keywords:
            if keyword.arg == "volume_id" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    return ast.unparse(node)
