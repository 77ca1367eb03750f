"""What becomes of an instance of a host that is emptied: its state, its owner, the operator."""

from __future__ import annotations

import pytest

from upgrade_flows.flows.host_upgrade.options import CHOICE, Options
from upgrade_flows.flows.host_upgrade.rules import RUNNING, Treatment, treat
from upgrade_flows.flows.moving import Obstacles, choice_of, obstacles_of
from upgrade_flows.model.inventory import Flavor, Server

PMEM = {"hw:pmem": "6GB"}
TPM = {"hw:tpm_version": "2.0"}
PCI = {"pci_passthrough:alias": "gpu:1"}
ACCELERATOR = {"accel:device_profile": "fpga"}


def server(status="ACTIVE", said="", specs=None, **more):
    metadata = {CHOICE: said} if said else {}
    flavor = Flavor("f1", "small", 1, 2048, 20, extra_specs=specs or {})
    power = RUNNING if status == "ACTIVE" else 4
    fields = {"power_state": power, "metadata": metadata, "flavor": flavor, **more}
    return Server("i1", "web", status, **fields)


def options(**more):
    return Options("simulated", **more)


def how(*args, specs=None, **more):
    return str(treat(server(*args, specs=specs), options(**more)).how)


def test_each_state_has_its_treatment():
    table = {
        status: how(status)
        for status in (
            "ACTIVE", "SHUTOFF", "PAUSED", "SUSPENDED", "SHELVED", "SHELVED_OFFLOADED", "ERROR",
            "BUILD", "MIGRATING", "RESCUE", "VERIFY_RESIZE", "SOFT_DELETED", "DELETED", "UNKNOWN",
        )
    }  # fmt: skip
    assert table == {
        "ACTIVE": "live",
        "SHUTOFF": "cold",
        "PAUSED": "live",
        "SUSPENDED": "stay",
        "SHELVED": "offload",
        "SHELVED_OFFLOADED": "offload",
        "ERROR": "stay",
        "BUILD": "wait",
        "MIGRATING": "wait",
        "RESCUE": "refuse",
        "VERIFY_RESIZE": "refuse",
        "SOFT_DELETED": "stay",
        "DELETED": "stay",
        "UNKNOWN": "refuse",
    }


def test_a_state_with_a_remedy_names_the_command():
    remedies = {
        status: treat(server(status), options(suspended="refuse")).remedy
        for status in ("SUSPENDED", "RESCUE", "VERIFY_RESIZE")
    }
    assert remedies == {
        "SUSPENDED": "openstack server resume i1, or use --suspended stay",
        "RESCUE": "openstack server unrescue i1",
        "VERIFY_RESIZE": "openstack server resize confirm i1 (or revert)",
    }


def test_an_error_whose_guest_runs_is_in_the_way():
    assert treat(server("ERROR", power_state=RUNNING), options()) == Treatment(
        "refuse",
        "it is in ERROR, and its guest runs all the same",
        "openstack server set --state active i1, once that is true",
    )


@pytest.mark.parametrize("status", ["ACTIVE", "SHUTOFF", "ERROR", "SHELVED", "SUSPENDED"])
def test_whatever_nova_is_at_has_to_end_first(status):
    assert treat(server(status, task_state="image_uploading"), options()) == Treatment(
        "wait", "Nova is at it: image_uploading"
    )


def test_the_owners_word_goes_before_the_operators_rule():
    table = {
        (said, rule): how("ACTIVE", said, default=rule)
        for said in ("", "live", "cold", "poweroff", "notify", "nonsense")
        for rule in ("live", "cold", "poweroff")
    }
    assert table == {
        ("", "live"): "live",
        ("", "cold"): "cold",
        ("", "poweroff"): "poweroff",
        ("live", "live"): "live",
        ("live", "cold"): "live",
        ("live", "poweroff"): "live",
        ("cold", "live"): "cold",
        ("cold", "cold"): "cold",
        ("cold", "poweroff"): "cold",
        ("poweroff", "live"): "poweroff",
        ("poweroff", "cold"): "poweroff",
        ("poweroff", "poweroff"): "poweroff",
        ("notify", "live"): "refuse",
        ("notify", "cold"): "refuse",
        ("notify", "poweroff"): "refuse",
        ("nonsense", "live"): "live",
        ("nonsense", "cold"): "cold",
        ("nonsense", "poweroff"): "poweroff",
    }


def test_what_the_operator_allows_decides_about_instances_with_obstacles():
    allowed = {
        "nothing": {},
        "cold": {"may_cold": True},
        "poweroff": {"unmovable": "poweroff"},
        "both": {"may_cold": True, "unmovable": "poweroff"},
    }
    table = {
        (name, which): how("ACTIVE", specs=specs, **more)
        for name, specs in (("vtpm", TPM), ("pci", PCI), ("pmem", PMEM), ("accel", ACCELERATOR))
        for which, more in allowed.items()
    }
    assert table == {
        ("vtpm", "nothing"): "refuse",
        ("vtpm", "cold"): "cold",
        ("vtpm", "poweroff"): "poweroff",
        ("vtpm", "both"): "cold",
        ("pci", "nothing"): "refuse",
        ("pci", "cold"): "cold",
        ("pci", "poweroff"): "poweroff",
        ("pci", "both"): "cold",
        ("pmem", "nothing"): "refuse",
        ("pmem", "cold"): "refuse",
        ("pmem", "poweroff"): "poweroff",
        ("pmem", "both"): "poweroff",
        ("accel", "nothing"): "refuse",
        ("accel", "cold"): "refuse",
        ("accel", "poweroff"): "poweroff",
        ("accel", "both"): "poweroff",
    }


def test_an_owner_who_wants_a_restart_gets_it_where_only_live_migration_is_ruled_out():
    assert (how("ACTIVE", "cold", specs=PCI), how("ACTIVE", "cold", specs=PMEM)) == (
        "cold",
        "refuse",
    )


def test_what_does_not_run_may_be_kept_where_it_is_by_an_obstacle():
    table = {
        (status, name): how(status, specs=specs)
        for status in ("SHUTOFF", "PAUSED")
        for name, specs in (("vtpm", TPM), ("pmem", PMEM))
    }
    assert table == {
        ("SHUTOFF", "vtpm"): "cold",
        ("SHUTOFF", "pmem"): "stay",
        ("PAUSED", "vtpm"): "refuse",
        ("PAUSED", "pmem"): "refuse",
    }


def test_the_obstacles_of_an_instance_are_those_that_its_flavor_tells():
    assert [obstacles_of(server(specs=specs)) for specs in ({}, PMEM, TPM, PCI, ACCELERATOR)] == [
        Obstacles(),
        Obstacles(move="it has persistent memory of its host (hw:pmem)"),
        Obstacles(live="it has a virtual TPM, which Nova does not migrate live"),
        Obstacles(live="it has devices of its host (pci_passthrough:alias=gpu:1)"),
        Obstacles(move="it has an accelerator of its host (accel:device_profile)"),
    ]


def test_obstacles_that_are_given_replace_those_of_the_flavor():
    said = treat(server(specs=PMEM), options(may_cold=True), Obstacles(live="a port of its host"))
    assert said == Treatment("cold", "a port of its host")


def test_the_owners_word_is_read_from_metadata_before_a_tag():
    tag = f"{CHOICE}=poweroff"
    assert [
        choice_of(server(tags=("blue",))),
        choice_of(server(tags=("blue", tag))),
        choice_of(server(said="cold", tags=(tag,))),
        choice_of(server(tags=(f"{CHOICE}=whatever",))),
        choice_of(server(said="nonsense", tags=(tag,))),
    ] == ["", "poweroff", "cold", "", ""]


def test_a_treatment_says_why():
    assert [
        treat(server(), options()),
        treat(server(said="live"), options()),
        treat(server(), options(default="poweroff")),
        treat(server("SHUTOFF"), options()),
        treat(server(said="notify"), options()),
        treat(server(specs=PMEM), options()),
    ] == [
        Treatment("live"),
        Treatment("live", "as its owner wants"),
        Treatment("poweroff", "as is the rule"),
        Treatment("cold", "it is off"),
        Treatment(
            "refuse",
            "its owner wants to be asked first (upgrade_flows:maintenance=notify)",
            "ask the owner, who then sets live, cold or poweroff instead",
        ),
        Treatment(
            "refuse",
            "it has persistent memory of its host (hw:pmem)",
            "allow to stop it meanwhile: --unmovable poweroff",
        ),
    ]
