"""What criu cannot carry, by what a guest's /proc says; nothing is tried."""

from __future__ import annotations

from collections.abc import Iterator

from upgrade_flows.plugins.guest import Guest
from upgrade_flows.plugins.workload.criu.looking import Seen, Tree
from upgrade_flows.plugins.workload.criu.processes import Open
from upgrade_flows.plugins.workload.criu.settings import CriuSettings, within

#: namespaces that the tree must share with the rest of the guest
SHARED = {"mnt": "mount", "net": "network", "user": "user"}

#: files without a name that criu can restore
ANONYMOUS = ("[eventfd]", "[eventpoll]", "[timerfd]", "[signalfd]", "inotify", "[fanotify]")

#: devices that are the same everywhere
DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")

#: filesystems that the kernel makes up
KERNELS = ("/proc", "/sys")

ROOM_KIB = 16 * 1024


def of_guest(guest: Guest, settings: CriuSettings, seen: Seen) -> list[str]:
    """Return what a guest lacks; for both of them."""
    said = [seen.criu] if seen.criu else []
    if not seen.nft:
        said.append("nft is not installed, or does not work")
    return [f"{guest}: {one}" for one in said]


def of_volumes(guest: Guest, settings: CriuSettings, seen: Seen) -> list[str]:
    """Return what is not as the settings say with the data volumes of the original."""
    said = []
    for index, point in settings.mounts.items():
        if index >= len(guest.volumes):
            said.append(f"it has no data volume {index}, which is to be mounted at {point}")
            continue
        device, mounted = seen.devices.get(guest.volumes[index][:20], ""), seen.mount_at(point)
        if not device:
            said.append(f"data volume {index} ({guest.volumes[index]}) is not to be found")
        elif mounted is None or mounted.device not in (device, _link(guest, index)):
            has = f"{mounted.device} is" if mounted else "nothing is"
            said.append(f"{has} mounted at {point}, not data volume {index} ({device})")
    for index, volume in enumerate(guest.volumes):
        for mounted in seen.mounts:
            device = seen.devices.get(volume[:20], "")
            theirs = mounted.device in (device, _link(guest, index))
            if device and theirs and mounted.point != settings.mounts.get(index):
                said.append(f"data volume {index} is mounted at {mounted.point}: name it in mount")
    return [f"{guest}: {one}" for one in said]


def of_root(guest: Guest, settings: CriuSettings, found: list[object]) -> list[str]:
    """Return why it is not clear which process is the root of the tree."""
    if len(found) == 1:
        return []
    what = settings.command_pattern or settings.pidfile or f"pid {settings.pid}"
    if not found:
        return [f"{guest}: no process is found by {what}"]
    return [f"{guest}: several processes are found by {what}: {', '.join(map(str, found))}"]


def of_tree(guest: Guest, settings: CriuSettings, seen: Seen, tree: Tree) -> list[str]:
    """Return what of the processes criu cannot carry, or would tear from others."""
    said = [
        *_spaces(tree),
        *_sessions(settings, tree),
        *_open(settings, tree),
        *_mapped(settings, tree),
        *_shared(settings, tree),
        *_others(settings, tree),
        *_room(settings, seen, tree),
    ]
    return [f"{guest}: {one}" for one in dict.fromkeys(said)]


def outside(settings: CriuSettings, path: str) -> bool:
    """Whether a path is of a file that is not carried."""
    return path.startswith("/") and not any(
        within(path, point) for point in settings.mounts.values()
    )


def _spaces(tree: Tree) -> Iterator[str]:
    for one in tree.members:
        for kind, name in SHARED.items():
            if tree.apart(one.pid, kind):
                yield f"{one} has a {name} namespace of its own"
        if tree.spaces.get((one.pid, "ns/pid")) != tree.spaces.get((tree.root.pid, "ns/pid")):
            yield (
                f"{one} is in another pid namespace than {tree.root}: name the root of the inner"
                " one (let command_pattern begin with ^)"
            )
        if tree.status.get(one.pid, {}).get("TracerPid", "0") != "0":
            yield f"{one} is traced by another process"


def _sessions(settings: CriuSettings, tree: Tree) -> Iterator[str]:
    if "--shell-job" in settings.options:
        return
    for one in tree.members:
        if one.session not in tree.pids or one.group not in tree.pids:
            yield f"{one} belongs to a session from outside: start the workload by setsid"


def _open(settings: CriuSettings, tree: Tree) -> Iterator[str]:
    for file in tree.opened:
        if file.pid in tree.pids:
            why = _why_not(settings, tree, file)
            if why:
                yield f"process {file.pid} has {file.target} open: {why}"
    if tree.locks & tree.pids and "--file-locks" not in settings.options:
        yield "it holds locks of files: add --file-locks to options"


def _why_not(settings: CriuSettings, tree: Tree, file: Open) -> str:
    target = file.target
    if target.startswith(("anon_inode:", "pidfd:")):
        return "" if target.removeprefix("anon_inode:") in ANONYMOUS else "criu cannot carry it"
    if target.startswith("socket:["):
        kind = tree.sockets.get(target[8:-1], "")
        return f"criu cannot carry a socket of the kind {kind}" if kind else ""
    if target.startswith(("/dev/pts/", "/dev/tty", "/dev/console")):
        return "" if "--shell-job" in settings.options else "it is a terminal"
    if within(target, "/dev") and not within(target, "/dev/shm"):  # noqa: S108
        return "" if target in DEVICES else "it is a device of this guest"
    if target.endswith(" (deleted)") or any(within(target, one) for one in KERNELS):
        return ""
    if outside(settings, target) and file.writes:
        return "it is written, and lies on no volume that is carried"
    return ""


def _mapped(settings: CriuSettings, tree: Tree) -> Iterator[str]:
    for one in tree.maps:
        path = one.path.removesuffix(" (deleted)")
        if path.startswith("/SYSV") and not tree.apart(one.pid, "ipc"):
            yield f"process {one.pid} has shared memory of System V, without an ipc namespace"
        elif one.path.startswith("anon_inode:"):
            yield f"process {one.pid} has mapped {one.path}: criu cannot carry it"
        elif within(path, "/dev") and path not in DEVICES and not within(path, "/dev/shm"):  # noqa: S108
            yield f"process {one.pid} has mapped {path}: it is a device of this guest"
        elif path == one.path and outside(settings, path) and one.permissions[1::2] == "ws":
            yield (
                f"process {one.pid} has mapped {path} to write to it, and it lies on no volume"
                " that is carried"
            )


def _shared(settings: CriuSettings, tree: Tree) -> Iterator[str]:
    ours: dict[str, int] = {}
    for file in tree.opened:
        if file.pid in tree.pids and file.target.startswith(("pipe:[", "socket:[")):
            ours.setdefault(file.target, file.pid)
    for file in tree.opened:
        if file.pid not in tree.pids and file.target in ours:
            what = file.target.partition(":")[0]
            yield (
                f"process {ours[file.target]} shares a {what} with process {file.pid}, which does"
                " not move"
            )


def _others(settings: CriuSettings, tree: Tree) -> Iterator[str]:
    used = {
        pid: target
        for pid, target in (
            *((file.pid, file.target) for file in tree.opened),
            *((pid, target) for (pid, _), target in tree.links.items()),
        )
        if pid not in tree.pids and target.startswith("/") and not outside(settings, target)
    }
    for pid, target in used.items():
        yield f"process {pid}, which does not move, uses {target}: nobody could unmount it"


def _room(settings: CriuSettings, seen: Seen, tree: Tree) -> Iterator[str]:
    needed = tree.resident_kib * (settings.predump + 1) + ROOM_KIB
    if seen.free_kib is not None and seen.free_kib < needed:
        yield (
            f"{settings.images} has {seen.free_kib // 1024} MiB free, {needed // 1024} are needed"
        )


def _link(guest: Guest, index: int) -> str:
    return f"/dev/disk/by-id/virtio-{guest.volumes[index][:20]}"
