"""What can be said of a live update, and that everything that is wrong with it is told at once."""

from __future__ import annotations

import pytest

from tests.unit.live_update_clouds import PLUGINS, Workload, cloud, image, only, plan
from upgrade_flows.errors import RequestError
from upgrade_flows.flows.live_update.options import Options

TCP, CONSOLE, BOOTED = {"tcp": 80}, {"console": "login:"}, {"cloud_init": True}
HTTP = {"http": "/health", "port": 8080, "expect": "fine"}


def complaint(**plain):
    with pytest.raises(RequestError) as caught:
        Options.read(plain)
    return str(caught.value)


def test_without_a_word_only_what_is_new_has_to_be_said():
    assert Options.read({"image": "new", "settings": None}) == Options(image="new")
    assert Options.read({"image": "new"}).workload == "stateless"
    assert Options.read({"update": True}).update


def test_everything_that_is_wrong_is_told_at_once():
    said = complaint(
        color="blue", image=7, update="yes", workload=[], settings="x", placement=1,
        elsewhere="no", make_room=2, host_groups=3, grace_s=-1, room_s=0, ready_s=True, answer_s=0,
        probes=[{"tcp": 0}, {"ping": 1}], ready="tcp",
    )  # fmt: skip
    for name in ("color", "image", "update", "workload", "settings", "placement", "elsewhere",
                 "make_room", "host_groups", "grace_s", "room_s", "ready_s", "answer_s", "probe 1",
                 "probe 2", "ready: probes"):  # fmt: skip
        assert name in said, name


@pytest.mark.parametrize(
    ("plain", "said"),
    [
        ({}, "image, or update: true, is missing"),
        ({"image": "new", "update": True}, "only one of the two can be new"),
    ],
)
def test_exactly_one_thing_is_new(plain, said):
    assert said in complaint(**plain)


def test_the_old_disk_may_go_with_the_commit_but_room_is_waited_for():
    assert Options.read({"image": "new", "grace_s": 0}).grace_s == 0
    assert "room_s is 0; it must be a number of seconds from 1" in complaint(image="n", room_s=0)


def test_what_has_booted_is_not_asked_again_when_the_workload_has_moved():
    options = Options.read({"image": "new", "probes": [TCP, CONSOLE, HTTP, BOOTED]})
    assert options.last_probes == (TCP, HTTP)


def test_a_workload_that_has_not_moved_yet_is_not_asked_for():
    options = Options.read({"image": "new", "probes": [TCP, CONSOLE, HTTP, BOOTED]})
    assert options.first_probes(whole=False) == (CONSOLE, BOOTED)
    assert options.first_probes(whole=True) == (TCP, CONSOLE, HTTP, BOOTED)


def test_what_is_asked_first_can_be_said():
    options = Options.read({"image": "new", "probes": [TCP], "ready": [{"tcp": 22}]})
    assert options.first_probes(whole=True) == ({"tcp": 22},)
    assert Options.read({"image": "new", "probes": [TCP], "ready": []}).first_probes(True) == ()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"image": "nothing"}, "there is no image 'nothing'"),
        ({"workload": "magic"}, r"there is no workload plugin 'magic' \(known: cold, inside"),
        ({"settings": {"wrong": 1}}, "settings: wrong is unknown"),
        ({"update": True}, "the workload plugin plain does not update boot disks"),
        ({"placement": "luck"}, r"there is no placement policy 'luck' \(known: cpu_allocation"),
        ({"host_groups": ["racks"]}, "there is no aggregate racks"),
        ({"health_network": "lan"}, "health_network lan: there is no such network"),
        ({"hosts": ("h9",)}, "h9: no such compute host"),
        ({"strategy": "hope"}, r"there is no strategy 'hope' \(known: auto\)"),
    ],
)
def test_a_request_that_names_what_does_not_exist_is_refused(more, said):
    with pytest.raises(RequestError, match=said):
        plan(cloud(), **more)


def test_an_image_of_whose_name_there_are_two_is_refused_with_their_ids():
    made = cloud()
    one = image(made)
    other = made.add_image("new")
    with pytest.raises(RequestError, match=f"several images are called new: {one}, {other}"):
        plan(made)
    assert only(made, image=other).details["image"] == other


def test_the_workload_plugin_sees_its_settings_once_for_all_instances():
    made = cloud()
    made.add_server("db", host="h2")
    workload = Workload()
    plugins = PLUGINS.__class__(
        PLUGINS.network, PLUGINS.storage, PLUGINS.host, PLUGINS.placement, {"plain": workload}
    )
    plan(made, "web", "db", plugins=plugins, settings={"key": "value"})
    assert workload.checked == [{"key": "value"}]
