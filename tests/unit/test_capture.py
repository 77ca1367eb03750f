"""Captures: what becomes part of an image, what is refused, and the command as a whole."""

from __future__ import annotations

import json

import pytest

from tests.flows.capture_scenes import action_for, cloud_with, data_volumes, plan_for
from tests.unit.cli_samples import Terminal, cli
from upgrade_flows import errors
from upgrade_flows.cli.wiring import Wiring
from upgrade_flows.cloud.api import Credentials, NewServer
from upgrade_flows.flows import capture
from upgrade_flows.flows.capture.assess import _properties
from upgrade_flows.model.inventory import Volume
from upgrade_flows.model.plan import Plan
from upgrade_flows.planning import planner
from upgrade_flows.plugins import registry


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


class CloudWiring(Wiring):
    """The real parts on a cloud in memory."""

    def __init__(self, cloud):
        self.cloud = cloud
        self.plugins = registry.load()

    def connect(self, name, region):
        return self.cloud


def findings(case="volume", change=None, **options):
    cloud, server = cloud_with(case)
    if change:
        change(cloud, server)
    return [(item.id, item.severity) for item in plan_for(case, cloud, server, **options).findings]


def refused(**more):
    return {number for number, severity in findings(**more) if severity == "refused"}


# what becomes part of it


def test_a_volume_backed_instance_gives_its_root_volume_and_the_chosen_ones():
    cloud, server = cloud_with("volume")
    first, second = data_volumes(cloud, server)
    action = action_for("volume", cloud, server, volumes=[second])
    assert [(v["volume_id"] == second, v["boot_index"]) for v in action.details["volumes"]] == [
        (False, 0),
        (True, None),
    ]
    assert (action.strategy, action.because) == ("volumes", ())
    assert first not in json.dumps(action.details["volumes"])


def test_an_image_backed_instance_gives_its_root_disk_and_the_chosen_volumes():
    cloud, server = cloud_with("image")
    action = action_for("image", cloud, server)
    assert (action.strategy, action.details["volumes"]) == ("image", [])
    assert action.because == ("its root disk is no volume",)


def test_data_volumes_may_be_named():
    cloud, server = cloud_with("volume")
    (first, _) = data_volumes(cloud, server)
    name = cloud.direct.volumes.volume(first).name
    action = action_for("volume", cloud, server, volumes=[name])
    assert [v["volume_id"] for v in action.details["volumes"]][1:] == [first]


def test_without_a_name_the_image_is_called_after_the_instance_and_the_day():
    cloud, server = cloud_with("image")
    action = action_for("image", cloud, server, name="")
    assert action.details["name"] == f"web-{cloud.world.timestamp()[:10].replace('-', '')}"


def test_the_image_of_a_root_volume_says_what_its_image_said_of_the_guest():
    root = Volume("v", "", "in-use", 1, image_properties={
        "hw_firmware_type": "uefi", "image_id": "i", "min_disk": "1", "checksum": "x",
        "hw_qemu_guest_agent": True,
    })  # fmt: skip
    assert _properties(root) == {"hw_firmware_type": "uefi", "hw_qemu_guest_agent": "True"}


@pytest.mark.parametrize(
    ("case", "status", "downtime"),
    [("volume", "ACTIVE", 0.0), ("volume-data-stopped", "ACTIVE", 20.0),
     ("volume-data-stopped", "SHUTOFF", 0.0)],
)  # fmt: skip
def test_only_an_instance_that_is_stopped_for_it_is_down(case, status, downtime):
    cloud, server = cloud_with(case, status)
    assert action_for(case, cloud, server).prediction.downtime_s == downtime


# what is refused, and what is to be known


def test_an_instance_that_is_busy_or_in_a_state_of_which_no_copy_is_made_is_refused():
    def shelved(cloud, server):
        cloud.compute.shelve(server)
        cloud.clock.sleep(600)

    def busy(cloud, server):
        cloud.compute.stop(server)

    assert refused(change=shelved) == {"UF-CP-001"}
    assert refused(change=busy) == {"UF-CP-001"}


def test_a_locked_instance_is_captured_but_not_stopped():
    def lock(cloud, server):
        cloud.compute.lock(server, "mine")

    assert refused(change=lock) == set()
    assert refused(change=lock, stop=True) == {"UF-CP-002"}


def test_a_volume_that_it_does_not_have_is_refused():
    assert refused(volumes=["nobody's"]) == {"UF-CP-003"}


def test_a_name_that_an_image_has_is_refused():
    def taken(cloud, _):
        cloud.add_image("golden")

    assert refused(change=taken) == {"UF-CP-005"}


def test_a_flavor_or_network_that_does_not_exist_is_refused_unless_nothing_is_booted():
    assert refused(flavor="huge") == {"UF-CP-006"}
    assert refused(network="nowhere") == {"UF-CP-007"}
    assert refused(flavor="huge", network="nowhere", verify=False) == set()


def test_it_is_said_that_a_running_instance_and_other_volumes_are_not_captured_whole():
    assert findings() == [("UF-CP-010", "info"), ("UF-CP-011", "info")]
    assert findings(case="volume-data-stopped") == [("UF-CP-011", "info")]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"size": 1}, "unknown key size"),
        ({"stop": "yes"}, "option stop of capture must be true or false"),
        ({"probes": [{"ssh": "true"}]}, "nobody can log in"),
        ({"probes": [{"ping": 1}]}, "probe 1: it must be one of"),
        ({"probes": [{"tcp": 22}], "verify": False}, "probes are asked when the image is booted"),
    ],
)
def test_options_that_make_no_sense_are_refused(options, said):
    with pytest.raises(errors.RequestError, match=said):
        findings(**options)


def test_several_instances_cannot_have_one_name():
    cloud, _ = cloud_with("image")
    cloud.add_server("web-2", host="h2")
    wiring = CloudWiring(cloud)
    request = plan_for("image", cloud, "web").request
    request = type(request)("capture", type(request.scope)(everything=True), request.target)
    with pytest.raises(errors.RequestError, match="2 instances cannot be captured under one name"):
        wiring.make_plan(request, wiring.collect(cloud, request, print), print)


def test_an_instance_that_has_moved_since_it_was_planned_is_left_alone():
    cloud, server = cloud_with("volume")
    action = action_for("volume", cloud, server)
    verify = lambda: planner.verify(cloud, None, action)  # noqa: E731
    assert verify() is None
    cloud.compute.stop(server)
    cloud.clock.sleep(60)
    assert verify() == "changed since it was planned: status"
    cloud.compute.delete(server)
    cloud.clock.sleep(60)
    assert capture.moved(cloud, None, action) == "it does not exist any more"


# the command


def test_the_command_plans_shows_asks_runs_and_reports():
    cloud, server = cloud_with("volume")
    (first, _) = data_volumes(cloud, server)
    argv = ["capture", "web", "--name", "golden", "--volume", first, "--stop"]
    code, out, err = cli(*argv, wiring=CloudWiring(cloud), stdin=Terminal("y\n"))
    assert (code, err) == (0, "")
    assert "Capture it as shown? [y/N] " in out
    assert "web: changed" in out
    (image,) = cloud.direct.images.find("golden")
    assert f"web: image {image.id} golden (booted: ACTIVE after " in out
    assert len(cloud.direct.volumes.snapshots()) == 2
    assert "'upgrade-flows rollback" in out


def test_a_capture_that_is_rolled_back_leaves_nothing():
    cloud, _ = cloud_with("volume")
    before = cloud.state(bindings=True)
    wiring = CloudWiring(cloud)
    assert cli("capture", "web", "--yes", wiring=wiring)[0] == 0
    assert cli("rollback", "--yes", wiring=wiring)[0] == 0
    assert cloud.state(bindings=True) == before


def test_with_a_file_to_write_only_the_plan_is_made(tmp_path):
    cloud, _ = cloud_with("image")
    code, out, _ = cli("capture", "web", "--no-verify", "-o", "p.json", wiring=CloudWiring(cloud))
    assert code == 0
    assert "Run it with 'upgrade-flows run p.json'." in out
    (action,) = Plan.from_json((tmp_path / "p.json").read_text()).actions
    assert action.details["verify"] is False
    assert cloud.count("compute.create_image") == 0
    assert cli("run", "p.json", "--yes", wiring=CloudWiring(cloud))[0] == 0


def test_a_capture_that_is_not_wanted_touches_nothing():
    cloud, _ = cloud_with("image")
    code, _, err = cli("capture", "web", wiring=CloudWiring(cloud), stdin=Terminal("n\n"))
    assert (code, err) == (2, "upgrade-flows: nothing was done\n")
    assert cloud.count("compute.lock") == 0


def test_a_capture_that_is_refused_is_exit_code_3():
    cloud, _ = cloud_with("image")
    code, out, _ = cli("capture", "web", "--volume", "x", "--yes", wiring=CloudWiring(cloud))
    assert code == 3
    assert "UF-CP-003" in out


def test_a_capture_whose_image_does_not_boot_is_exit_code_4_and_leaves_nothing():
    cloud, _ = cloud_with("volume")
    before = cloud.state(bindings=True)
    cloud.faults.break_result("compute.create", "ERROR")
    code, out, _ = cli("capture", "web", "--yes", wiring=CloudWiring(cloud))
    assert code == 4
    assert "is in ERROR" in out
    assert cloud.state(bindings=True) == before


def test_a_token_that_ends_too_early_begins_no_capture():
    cloud, _ = cloud_with("volume")
    cloud.world.credentials = Credentials(cloud.clock.time() + 10, False)
    code, _, err = cli("capture", "web", "--yes", wiring=CloudWiring(cloud))
    assert code == 3
    assert "UF-LU-040" in err


def test_what_is_booted_of_the_image_has_volumes_of_its_own_made_of_the_snapshots():
    cloud, server = cloud_with("volume")
    (first, _) = data_volumes(cloud, server)
    argv = ["capture", "web", "--name", "golden", "--volume", first, "--yes"]
    assert cli(*argv, wiring=CloudWiring(cloud))[0] == 0
    (image,) = cloud.direct.images.find("golden")
    flavor = cloud.direct.compute.flavors()[0]
    new = cloud.compute.create(NewServer("new", "", flavor.id, (), boot_image=image.id))
    held = cloud.direct.compute.attachments(new)
    assert [(volume.boot_index, volume.delete_on_termination) for volume in held] == [
        (0, False),
        (None, False),
    ]
    originals = {volume.volume_id for volume in cloud.direct.compute.attachments(server)}
    assert not originals & {volume.volume_id for volume in held}
