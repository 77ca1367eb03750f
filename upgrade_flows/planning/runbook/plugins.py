"""By hand: what the host plugins do to an empty host."""

from __future__ import annotations

import json
import shlex
from typing import Any

from upgrade_flows.planning.runbook.step import HandStep, plain


def upgrade(plugin: str, settings: dict[str, Any], host: str) -> list[HandStep]:
    """Return what a host plugin would do, by hand; ``host`` is quoted for a shell."""
    build = {"ssh": _with_packages, "ansible": _with_ansible}.get(plugin)
    if build is not None:
        return build(settings, host)
    said = plain(json.dumps(settings, sort_keys=True))
    return [
        HandStep(
            f"Upgrade the host as the plugin {plain(plugin)} would",
            (f"ssh {host}",),
            f"The host is as these settings want it: {said}",
            no_undo="what the plugin would do to take it back",
        )
    ]


def _with_packages(settings: dict[str, Any], host: str) -> list[HandStep]:
    """Return the steps for a host that is upgraded by its package manager."""
    shell = _shell(settings, host)
    dnf = settings.get("manager") == "dnf"
    wanted = [
        name if not version or version == "latest" else f"{name}{'-' if dnf else '='}{version}"
        for name, version in settings.get("packages", {}).items()
    ]
    gone = [str(name) for name in settings.get("remove", ())]
    install = ["dnf", "-y", "install"] if dnf else ["apt-get", "-y", "install"]
    remove = ["dnf" if dnf else "apt-get", "-y", "remove"]
    commands = [] if dnf else [f"{shell} apt-get update"]
    commands += [f"{shell} {shlex.join([*install, *wanted])}"] if wanted else []
    commands += [f"{shell} {shlex.join([*remove, *gone])}"] if gone else []
    query = "rpm -qa" if dnf else "dpkg-query -W"
    steps = []
    for key, what in (("source", "the package source"), ("files", "the lines of files")):
        if settings.get(key):
            said = plain(json.dumps(settings[key], sort_keys=True))
            steps.append(
                HandStep(
                    f"Bring {what} to what is wanted; keep a copy of what was there",
                    (shell.removesuffix(" sudo"),),
                    f"They are as these settings want them: {said}",
                    no_undo="put the copies back",
                )
            )
    if wanted or gone:
        steps.append(
            HandStep(
                "Note the versions that are installed, then install the wanted ones",
                (f"{shell} {query} > packages-{host}.txt", *commands),
                f"`{shell} {query}` shows the wanted versions.",
                no_undo=f"install the versions in packages-{host}.txt",
            )
        )
    return steps


def _with_ansible(settings: dict[str, Any], host: str) -> list[HandStep]:
    def play(book: str) -> str:
        limit = str(settings.get("limit_by") or "{host}").replace("{host}", host)
        words = ["ansible-playbook"]
        words += ["-i", shlex.quote(settings["inventory"])] if settings.get("inventory") else []
        words += ["--limit", limit]
        if settings.get("tags"):
            words += ["--tags", shlex.quote(",".join(settings["tags"]))]
        if settings.get("extra_vars"):
            extra = json.dumps(settings["extra_vars"], sort_keys=True)
            words += ["--extra-vars", shlex.quote(extra)]
        return " ".join([*words, shlex.quote(book)])

    back = settings.get("rollback_playbook")
    return [
        HandStep(
            "Run the playbook for this host alone",
            (play(str(settings.get("playbook", "PLAYBOOK"))),),
            "The recap says `failed=0` and `unreachable=0`.",
            (play(str(back)),) if back else (),
            no_undo="what the playbook changed; there is none that takes it back",
        )
    ]


def reboot(when: str, settings: dict[str, Any], host: str) -> list[HandStep]:
    """Return how a host is rebooted; ``when`` is the option of the request."""
    if when == "never" or settings.get("reboot") == "playbook":
        return []
    shell = _shell(settings, host)
    command = shlex.join([str(one) for one in settings.get("reboot_command") or ()])
    kernel = plain(str(settings.get("kernel") or "the wanted one"))
    title = "Reboot the host"
    if when == "needed":
        title += ", if something of it takes effect at the next boot only (a kernel does)"
    return [
        HandStep(
            title,
            (
                f"{shell} cat /proc/sys/kernel/random/boot_id",
                f"{shell} {command or 'systemctl reboot'}",
            ),
            f"`{shell} cat /proc/sys/kernel/random/boot_id` says another id than before, and"
            f" `{shell} uname -r` says {kernel}.",
            no_undo="boot the kernel of before",
        )
    ]


def _shell(settings: dict[str, Any], host: str) -> str:
    """Return how a command is given to a host."""
    address = str(settings.get("address") or "{host}").replace("{host}", host)
    user = f"{shlex.quote(settings['user'])}@" if settings.get("user") else ""
    config = f" -F {shlex.quote(settings['ssh_config'])}" if settings.get("ssh_config") else ""
    sudo = " sudo" if settings.get("sudo") else ""
    return f"ssh{config} {user}{address}{sudo}"
