"""The plugins that come with the library, and the registry that refuses what does not fit."""

from __future__ import annotations

import importlib.metadata

import pytest

from upgrade_flows.errors import PluginError
from upgrade_flows.model.inventory import Agent, Image, Port, Server
from upgrade_flows.plugins import registry
from upgrade_flows.plugins.base import NetworkPlugin, StoragePlugin
from upgrade_flows.plugins.network import modes
from upgrade_flows.plugins.network.ovs import OvsNetwork
from upgrade_flows.plugins.network.ovs_dpdk import OvsDpdkNetwork


def agent(**configurations):
    return Agent("a", "Open vSwitch agent", "h1", configurations=configurations)


def port(vif_type, **details):
    return Port("p", "n", "fa:16:3e:00:00:01", vif_type=vif_type, vif_details=details)


PLAIN = agent(datapath_type="system", integration_bridge="br-int", ovs_hybrid_plug=False)
HYBRID = agent(datapath_type="system", integration_bridge="br-int", ovs_hybrid_plug=True)


def dpdk(*kinds, directory="/var/lib/vhost_sockets"):
    return agent(
        datapath_type="netdev",
        integration_bridge="br-int",
        vhostuser_socket_dir=directory,
        ovs_capabilities={"iface_types": list(kinds), "datapath_types": ["netdev"]},
    )


OLD, NEW = dpdk("dpdkvhostuser"), dpdk("dpdkvhostuser", "dpdkvhostuserclient")
BOUND_OLD = port(
    "vhostuser",
    vhostuser_mode="client",
    vhostuser_socket="/var/lib/vhost_sockets/vhu1",
    bridge_name="br-int",
)


@pytest.mark.parametrize(
    ("reported", "mode"),
    [
        (PLAIN, "ovs (bridge=br-int)"),
        (HYBRID, "ovs-hybrid (bridge=br-int)"),
        (agent(datapath_type="netdev", ovs_capabilities={}), "ovs (bridge=br-int)"),
        (OLD, "dpdkvhostuser (bridge=br-int, socket_dir=/var/lib/vhost_sockets)"),
        (NEW, "dpdkvhostuserclient (bridge=br-int, socket_dir=/var/lib/vhost_sockets)"),
        (agent(), "ovs (bridge=br-int)"),
    ],
)
def test_the_mode_that_a_host_offers_is_worked_out_from_what_its_agent_reports(reported, mode):
    assert str(modes.from_agent(BOUND_OLD, reported)) == mode


def test_a_port_in_client_mode_is_dpdkvhostuser_because_the_mode_names_qemus_side():
    assert OvsDpdkNetwork().bound_mode(BOUND_OLD).kind == "dpdkvhostuser"


def test_a_change_of_the_socket_owner_can_be_made_in_place():
    plugin = OvsDpdkNetwork()
    assert plugin.rebind_refusal(BOUND_OLD, plugin.wanted_mode(BOUND_OLD, NEW)) is None


def test_a_change_of_the_socket_directory_can_be_made_in_place():
    plugin = OvsDpdkNetwork()
    moved = dpdk("dpdkvhostuser", directory="/run/elsewhere")
    assert plugin.rebind_refusal(BOUND_OLD, plugin.wanted_mode(BOUND_OLD, moved)) is None


@pytest.mark.parametrize(
    "reported", [PLAIN, agent(**{**NEW.configurations, "integration_bridge": "br2"})]
)
def test_a_change_that_leaves_an_ovs_port_behind_is_refused_in_place(reported):
    plugin = OvsDpdkNetwork()
    refusal = plugin.rebind_refusal(BOUND_OLD, plugin.wanted_mode(BOUND_OLD, reported))
    assert "would stay on the host" in refusal


@pytest.mark.parametrize(
    ("plugin", "bound", "reported"),
    [
        (OvsDpdkNetwork(), BOUND_OLD, NEW),
        (OvsNetwork(), port("ovs", ovs_hybrid_plug=True, bridge_name="br-int"), PLAIN),
    ],
)
def test_live_migration_to_a_host_in_another_mode_is_refused(plugin, bound, reported):
    assert plugin.live_migration_refusal(bound, plugin.wanted_mode(bound, reported))


@pytest.mark.parametrize(
    ("plugin", "bound", "reported"),
    [
        (OvsDpdkNetwork(), BOUND_OLD, OLD),
        (OvsNetwork(), port("ovs", ovs_hybrid_plug=True, bridge_name="br-int"), HYBRID),
    ],
)
def test_nothing_is_refused_where_the_modes_agree(plugin, bound, reported):
    wanted = plugin.wanted_mode(bound, reported)
    assert plugin.rebind_refusal(bound, wanted) is None
    assert plugin.live_migration_refusal(bound, wanted) is None


def test_a_root_disk_in_ceph_is_told_from_one_on_the_host_by_its_images_store():
    server = Server("s", "web", "ACTIVE", image_id="i")
    plugins = registry.load()
    in_ceph = Image("i", "img", "active", locations_backend="rbd")
    assert plugins.storage_of(server, (), in_ceph) == "rbd"
    assert plugins.storage_of(server, (), Image("i", "img", "active")) == "local"


def point(monkeypatch, entries):
    """Install entry points ``name -> value`` in a group of their own."""
    group = "upgrade_flows.test"
    points = [importlib.metadata.EntryPoint(name, value, group) for name, value in entries]
    monkeypatch.setattr("stevedore.extension.ExtensionManager.list_entry_points", lambda _: points)
    return {"network": (group, NetworkPlugin), "storage": (group, StoragePlugin)}


def test_every_plugin_that_does_not_load_is_named_with_its_reason(monkeypatch):
    groups = point(monkeypatch, [("a", "no_such_module:A"), ("b", "upgrade_flows.errors:Missing")])
    with pytest.raises(PluginError) as caught:
        registry.load(groups)
    assert "a (no_such_module:A) does not load: No module named 'no_such_module'" in str(
        caught.value
    )
    assert "b (upgrade_flows.errors:Missing) does not load" in str(caught.value)


def test_a_plugin_that_does_not_keep_the_contract_is_refused(monkeypatch):
    groups = point(monkeypatch, [("half", f"{__name__}:HalfAPlugin"), ("not", "json:JSONDecoder")])
    with pytest.raises(PluginError) as caught:
        registry.load(groups)
    assert "half cannot be made: Can't instantiate abstract class" in str(caught.value)
    assert "not is no NetworkPlugin" in str(caught.value)


class HalfAPlugin(NetworkPlugin):
    def claims(self, port, agent):
        return True
