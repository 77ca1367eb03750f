"""``gc`` on the cloud in memory: what runs that were given up half-way have left behind."""

from __future__ import annotations

import json

import pytest

from tests.flows import capture_scenes, live_scenes, scenes
from tests.unit.cli_samples import COMMANDS, Terminal, cli
from tests.unit.test_capture import CloudWiring
from upgrade_flows import errors
from upgrade_flows.cloud.api import NewServer, NewVolume
from upgrade_flows.engine.operations import Engine
from upgrade_flows.engine.store import Journal
from upgrade_flows.flows import capability
from upgrade_flows.model.inventory import Port
from upgrade_flows.model.plan import Gate, Plan, Wave
from upgrade_flows.model.request import Scope, UpgradeRequest
from upgrade_flows.steps.base import Settings

RUN = "20261128-abcdef"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def do_until(flow, last):
    """Do the steps of a flow up to one, and then nothing more: as a process that is killed."""
    results = {}
    for step in scenes.steps_of(flow):
        found = step.execute(**{name: results[symbol] for name, symbol in step.rebind.items()
                                if symbol in results})  # fmt: skip
        for symbol in step.save_as:
            results[symbol] = found
        if step.name.startswith(last):
            return results
    raise AssertionError(f"there is no step {last}")


def given_up(case, last):
    """Return a cloud in which a live update was given up, and its state before."""
    cloud, server = live_scenes.cloud_with(case)
    before = cloud.state(bindings=True)
    action = live_scenes.action_for(case, cloud, server)
    do_until(live_scenes.build(cloud, action), last)
    return cloud, server, before


def rows(cloud, *argv, **more):
    """Return what is shown: kind, run, fate and why of each thing."""
    code, out, err = cli("gc", *argv, "-f", "json", wiring=CloudWiring(cloud), **more)
    assert code == 0, err
    out = out[out.index("[\n") if "[\n" in out else out.index("[]") :]
    return [(row["Kind"], row["Run"], row["Fate"], row["Why"]) for row in json.loads(out)]


UNKNOWN = "its run is not in the journal: say --run or --older-than"


def test_a_cloud_without_left_overs_has_none():
    cloud, _ = live_scenes.cloud_with("volume-hot")
    assert rows(cloud) == []
    assert COMMANDS["gc"].__name__ == "Gc"


@pytest.mark.parametrize(
    ("case", "kinds"),
    [
        ("image-hot", ["server", "port", "image", "lock"]),
        ("volume-hot", ["server", "port", "snapshot", "volume", "lock"]),
    ],
)
def test_a_live_update_that_was_given_up_is_listed_without_its_journal(case, kinds):
    cloud, _, _ = given_up(case, "boot-surrogate")
    assert rows(cloud) == [(kind, RUN, "kept", UNKNOWN) for kind in kinds]
    assert rows(cloud, "--delete") == rows(cloud)


@pytest.mark.parametrize("last", ["create-health-port", "boot-surrogate", "prepare-workload"])
@pytest.mark.parametrize("case", ["image-hot", "volume-hot", "volume-update"])
def test_what_is_left_of_a_named_run_is_deleted_and_the_cloud_is_as_it_was(case, last):
    cloud, server, before = given_up(case, last)
    fates = {fate for *_, fate, _ in rows(cloud, "--delete", "--run", RUN, "--yes")}
    assert fates == {"removed"}
    assert cloud.state(bindings=True) == before
    assert live_scenes.serving(cloud) == [server]
    assert rows(cloud) == []


def test_a_hold_is_left_until_its_own_time_is_over():
    cloud, _, _ = given_up("image-hot", "hold-room")
    assert ("hold", RUN, "kept", "kept for a while") in rows(cloud)
    cloud.clock.sleep(86400)
    why = "it was kept for a while, which is over"
    assert ("hold", RUN, "left over", why) in rows(cloud)
    assert ("hold", RUN, "removed", why) in rows(cloud, "--delete", "--yes")
    assert cloud.state()["holds"] == {}


def test_what_is_older_than_asked_for_is_deleted():
    cloud, _, before = given_up("image-hot", "boot-surrogate")
    week = str(7 * 86400)
    assert {fate for *_, fate, _ in rows(cloud, "--delete", "--older-than", week)} == {"kept"}
    cloud.clock.sleep(10 * 365 * 86400)
    assert {fate for *_, fate, _ in rows(cloud, "--delete", "--older-than", week, "--yes")} == {
        "removed"
    }
    assert cloud.state(bindings=True) == before


@pytest.mark.parametrize("case", ["image-hot", "volume-hot"])
def test_a_surrogate_that_has_the_originals_ports_and_volumes_is_never_deleted(case):
    cloud, _, _ = given_up(case, "move-resources")
    before = cloud.state(bindings=True)
    found = rows(cloud, "--run", RUN, "--older-than", "0")
    (server,) = [row for row in found if row[0] == "server"]
    assert server[2] == "kept"
    assert server[3].startswith("in use by its owner: it holds port ")
    rows(cloud, "--delete", "--run", RUN, "--yes")
    after = cloud.state(bindings=True)
    assert set(after["servers"]) == set(before["servers"])
    assert after["ports"] == before["ports"]
    assert after["volumes"] == before["volumes"]


def test_a_replacement_is_never_deleted_for_its_original_is_gone():
    cloud, server = scenes.cloud_with("recreate")
    action = scenes.action_for("recreate", cloud, server)
    flow = capability.get("recreate").change(scenes.context(cloud, RUN), action)
    do_until(flow, "create-replacement")
    fates = rows(cloud, "--delete", "--older-than", "0", "--yes")
    assert [(kind, fate) for kind, _, fate, _ in fates] == [("server", "kept")]
    assert len(cloud.direct.compute.servers()) == 1


def test_a_marked_server_that_holds_nothing_of_ours_may_be_somebodys():
    cloud, _ = live_scenes.cloud_with("image-hot")
    flavor = cloud.direct.compute.flavors()[0]
    image = cloud.direct.images.images()[0]
    tag = "upgrade-flows-" + "0" * 20
    cloud.compute.create(NewServer("web", "", flavor.id, (), boot_image=image.id, tags=(tag,)))
    ((_, run, fate, why),) = rows(cloud, "--older-than", "0")
    assert (run, fate) == ("-", "kept")
    assert why == "in use by its owner, perhaps: nothing that it holds is ours"


def test_a_borrowed_key_is_told_by_its_comment():
    cloud, server = live_scenes.cloud_with("image-hot")
    action = live_scenes.action_for("image-hot", cloud, server)
    flow = live_scenes.build(cloud, action)
    (boot,) = [s for s in scenes.steps_of(flow) if s.name.startswith("boot-surrogate:")]
    own = cloud.direct.compute.own_user_id()
    cloud.add_key(own, "key-1", f"ssh-ed25519 AAAA {boot.short_tag}")
    cloud.add_key(own, "ours", "ssh-ed25519 AAAA somebody")
    assert rows(cloud, "--run", RUN) == [
        ("key", RUN, "left over", "its run is not in the journal, and was named")
    ]
    rows(cloud, "--delete", "--run", RUN, "--yes")
    assert cloud.direct.compute.keypairs(own) == ("ours",)


def test_a_port_that_got_an_owner_meanwhile_is_not_deleted_under_it():
    cloud, server = live_scenes.cloud_with("image-hot")
    (first, *_) = cloud.direct.network.ports(device_id=server)
    port = cloud.network.create_port(
        Port("", first.network_id, "", first.project_id, f"{RUN}/create-health-port:{server}")
    )

    def taken(call, args, phase):
        if call == "network.port" and phase == "before":
            cloud.direct.network.set_owner(port.id, server, "compute:nova")

    cloud.faults.hook(taken)
    argv = ["gc", "--delete", "--run", RUN, "--yes", "-f", "json"]
    code, out, err = cli(*argv, wiring=CloudWiring(cloud))
    assert code == 5
    assert f"not removed: port {port.id} belongs to {server}" in out
    assert "1 thing could not be removed" in err
    assert cloud.count("network.delete_port") == 0


def test_what_cannot_be_removed_keeps_no_other_from_being_removed():
    cloud, _, _ = given_up("volume-hot", "boot-surrogate")
    cloud.faults.fail("volumes.delete_snapshot", errors.Conflict("busy"), times=99)
    argv = ["gc", "--delete", "--run", RUN, "--yes", "-f", "json"]
    code, out, err = cli(*argv, wiring=CloudWiring(cloud))
    assert code == 5
    assert "not removed: busy" in out
    assert [kind for kind, *_ in rows(cloud)] == ["snapshot"]
    assert "1 thing could not be removed" in err


def test_nothing_is_removed_unless_it_is_wanted():
    cloud, _, _ = given_up("image-hot", "boot-surrogate")
    before = cloud.state(bindings=True)
    wiring = CloudWiring(cloud)
    argv = ["gc", "--delete", "--run", RUN]
    code, _, err = cli(*argv, wiring=wiring, stdin=Terminal("n\n"))
    assert code == 2
    assert "Kind" in err  # what would be removed is shown first
    assert err.endswith("upgrade-flows: nothing was done\n")
    assert cloud.state(bindings=True) == before


def test_an_age_below_zero_is_refused():
    code, _, err = cli("gc", "--older-than", "-1", wiring=CloudWiring(None))
    assert (code, err) == (2, "upgrade-flows: --older-than is -1.0; it must be 0 or more\n")


# what the journal knows


class Halted(Exception):
    """The process ends here."""


def started(tmp_path, case, grace_s=3600):
    """Return a cloud, an engine on the journal of the command line, and a run that is recorded."""
    cloud, server = live_scenes.cloud_with(case)
    action = live_scenes.action_for(case, cloud, server, grace_s=grace_s)
    request = UpgradeRequest("live_update", Scope(servers=(server,)))
    waves = (Wave("all", (action,), 1, Gate()),)
    plan = Plan("plan-1", "2026-11-28T00:00:00", cloud.id, request, waves).sealed()
    journal = Journal.open("sqlite:///journal.db")
    engine = Engine(journal, cloud, live_scenes.registry_for(cloud, action.details["cut"]),
                    Settings(calls_at_a_time=1))  # fmt: skip
    return cloud, engine, engine.start(plan)


def known(cloud, *argv):
    return rows_of(cli("--journal", "sqlite:///journal.db", "gc", *argv, "-f", "json",
                       wiring=CloudWiring(cloud)))  # fmt: skip


def rows_of(ended):
    code, out, err = ended
    assert code == 0, err
    return [(row["Kind"], row["Fate"], row["Why"]) for row in json.loads(out)]


@pytest.mark.parametrize("case", ["image-hot", "volume-hot"])
def test_what_a_run_that_can_be_rolled_back_needs_is_never_touched(tmp_path, case):
    cloud, engine, run_id = started(tmp_path, case)
    assert engine.run(run_id) == "changed"
    before = cloud.state(bindings=True)
    found = known(cloud, "--delete", "--older-than", "0", "--run", run_id, "--yes")
    assert {(fate, why) for _, fate, why in found} == {("kept", "its run is not over")}
    assert "server" in {kind for kind, *_ in found}
    assert cloud.state(bindings=True) == before


@pytest.mark.parametrize(("case", "kind"), [("image-hot", "image"), ("volume-hot", "volume")])
def test_after_a_commit_the_old_disk_is_kept_for_the_grace_and_then_deleted(tmp_path, case, kind):
    cloud, engine, run_id = started(tmp_path, case)
    engine.run(run_id)
    assert engine.commit(run_id) == "settled"
    assert known(cloud, "--delete", "--yes") == [(kind, "kept", "kept for a while")]
    cloud.clock.sleep(3600)
    table = {"image": "images", "volume": "volumes"}[kind]
    before = set(cloud.state()[table])
    why = "it was kept for a while, which is over"
    assert known(cloud, "--delete", "--yes") == [(kind, "removed", why)]
    assert len(before - set(cloud.state()[table])) == 1
    assert known(cloud) == []


def test_the_boot_volume_of_an_instance_that_was_committed_is_no_left_over(tmp_path):
    cloud, engine, run_id = started(tmp_path, "volume-hot", grace_s=0)
    engine.run(run_id)
    engine.commit(run_id)
    (server,) = cloud.direct.compute.servers()
    root = next(v for v in cloud.direct.compute.attachments(server.id) if v.boot_index == 0)
    assert cloud.direct.volumes.volume(root.volume_id).name.startswith(run_id)
    cloud.compute.set_delete_on_termination(server.id, root.volume_id, False)
    cloud.compute.delete(server.id)
    cloud.clock.sleep(600)
    assert known(cloud) == []
    assert rows(cloud, "--delete", "--run", run_id, "--older-than", "0", "--yes") == []
    assert cloud.direct.volumes.volume(root.volume_id).status == "available"


def test_what_a_failed_run_could_not_undo_belongs_to_it(tmp_path):
    cloud, engine, run_id = started(tmp_path, "image-hot")
    cloud.faults.fail("network.delete_port", errors.Forbidden("not today"), times=99)
    cloud.faults.break_result("compute.create", "ERROR")
    assert engine.run(run_id) == "residue"
    assert known(cloud, "--delete", "--yes") == [("port", "kept", "its run is not over")]


def test_what_a_run_that_is_over_has_left_is_deleted_without_being_named(tmp_path):
    cloud, engine, run_id = started(tmp_path, "image-hot")
    cloud.faults.break_result("compute.create", "ERROR")
    assert engine.run(run_id) == "failed"
    cloud.volumes.create(NewVolume(f"{run_id}/create-boot-volume:x", 1, "project-1"))
    cloud.clock.sleep(60)
    assert known(cloud, "--delete", "--yes") == [("volume", "removed", "its run is over")]


def test_a_captured_image_keeps_the_snapshots_that_it_refers_to():
    cloud, _ = capture_scenes.cloud_with("volume-data-stopped")
    cli("capture", "web", "--name", "golden", "--yes", wiring=CloudWiring(cloud))
    assert {why for *_, why in rows(cloud)} == {"its run is not over"}
    cli("commit", "--yes", wiring=CloudWiring(cloud))
    assert [(kind, fate, why) for kind, _, fate, why in rows(cloud, "--delete")] == [
        ("snapshot", "kept", "in use by image golden")
    ]
    (image,) = cloud.direct.images.find("golden")
    cloud.images.delete(image.id)
    assert [(kind, fate) for kind, _, fate, _ in rows(cloud, "--delete", "--yes")] == [
        ("snapshot", "removed")
    ]
