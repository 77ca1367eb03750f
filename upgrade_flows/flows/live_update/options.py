"""What an operator can say about a live update, beyond which instances and at what pace."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import Any

from upgrade_flows.errors import RequestError
from upgrade_flows.flows import host_groups
from upgrade_flows.plugins.reading import Reader
from upgrade_flows.steps.guest_probes import check_probes

#: what says that a guest has booted; it says nothing about the workload
BOOTED = ("console", "cloud_init")


@dataclass(frozen=True)
class Options:
    """What is new, how the workload moves, and where its new instance may go.

    :param image: name or id of the image that is booted from now on; else ``update``: the
        workload plugin updates a clone of the root volume.
    :param workload: the workload plugin, and ``settings`` what it is told.
    :param probes: what must answer when the workload has moved.
    :param ready: what must answer before it moves, at the new instance's own port; None: those of
        the probes that can (``first_probes``).
    :param placement: policy by which hosts are chosen where their group has none of its own.
    :param host_groups: as ``flows.host_groups.named`` takes it.
    :param measure: the host plugin, and its ``settings``, by which hosts are asked how busy they
        are; for the policies that place by it.
    :param elsewhere: whether the new instance may go to another host than its original's.
    :param make_room: whether others may be live-migrated to make room for it.
    :param health_network: id of the network of its own port; by default that of the first port.
    :param grace_s: seconds that the old root disk is kept after the commit.
    :param room_s: seconds that it is waited for room.
    :param ready_s: seconds that the new instance may take until it answers; also after it has
        moved, where it boots then.
    :param answer_s: seconds that the workload may take until it answers where it has moved to;
        then it goes back.
    """

    image: str = ""
    update: bool = False
    workload: str = "stateless"
    settings: dict[str, Any] = field(default_factory=dict)
    probes: tuple[dict[str, Any], ...] = ()
    ready: tuple[dict[str, Any], ...] | None = None
    placement: str = ""
    host_groups: Any = None
    measure: dict[str, Any] = field(default_factory=dict)
    elsewhere: bool = True
    make_room: bool = True
    health_network: str = ""
    grace_s: int = 86400
    room_s: int = 3600
    ready_s: int = 600
    answer_s: int = 60

    @classmethod
    def read(cls, plain: dict[str, Any]) -> Options:
        """Read the options of a request; what is null is as if it were not there.

        :raises RequestError: names all that is unknown, missing or of the wrong kind.
        """
        said = {key: value for key, value in plain.items() if value is not None}
        reader = Reader("live_update", said, [one.name for one in fields(cls)])
        options = cls(
            image=reader.text("image"),
            update=reader.flag("update"),
            workload=reader.text("workload", cls.workload),
            settings=reader.table("settings"),
            probes=_probes(reader, "probes"),
            ready=_probes(reader, "ready") if reader.has("ready") else None,
            placement=reader.text("placement"),
            host_groups=reader.any("host_groups"),
            measure=_measure(reader),
            elsewhere=reader.flag("elsewhere", cls.elsewhere),
            make_room=reader.flag("make_room", cls.make_room),
            health_network=reader.text("health_network"),
            grace_s=_seconds(reader, "grace_s", cls.grace_s, 0),
            room_s=_seconds(reader, "room_s", cls.room_s, 1),
            ready_s=_seconds(reader, "ready_s", cls.ready_s, 1),
            answer_s=_seconds(reader, "answer_s", cls.answer_s, 1),
        )
        if options.image and options.update:
            reader.complain("image and update: only one of the two can be new")
        elif not said.get("image") and not said.get("update"):
            reader.complain("image, or update: true, is missing: what is new?")
        try:
            host_groups.named(options.host_groups)
        except RequestError as exc:
            reader.complain(str(exc))
        if reader.complaints:
            said_all = "; ".join(reader.complaints)
            raise RequestError(f"the options of live_update are not valid: {said_all}")
        return options

    @property
    def last_probes(self) -> tuple[dict[str, Any], ...]:
        """The probes of the workload that has moved: whether it has booted is known by then."""
        return tuple(probe for probe in self.probes if not set(BOOTED) & set(probe))

    def first_probes(self, whole: bool) -> tuple[dict[str, Any], ...]:
        """Return the probes before the workload moves.

        :param whole: whether the new instance serves by itself as soon as it has booted; else it
            can only be asked whether it has.
        """
        if self.ready is not None:
            return self.ready
        return tuple(probe for probe in self.probes if whole or set(BOOTED) & set(probe))


def _probes(reader: Reader, key: str) -> tuple[dict[str, Any], ...]:
    said = reader.any(key, [])
    try:
        check_probes(said)
    except RequestError as exc:
        reader.complain(f"{key}: {exc}")
        return ()
    return tuple(dict(probe) for probe in said)


def _measure(reader: Reader) -> dict[str, Any]:
    said = reader.table("measure")
    if not said:
        return {}
    inner = reader.inner("measure", said, ("plugin", "settings"))
    if not inner.text("plugin"):
        inner.complain("plugin is missing: by which host plugin are hosts asked?")
    return {"plugin": inner.text("plugin"), "settings": inner.table("settings")}


def _seconds(reader: Reader, key: str, default: int, least: int) -> int:
    value = reader.any(key, default)
    if isinstance(value, bool) or not isinstance(value, int) or value < least:
        reader.complain(f"{key} is {value!r}; it must be a number of seconds from {least}")
        return default
    return value
