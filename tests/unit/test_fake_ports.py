"""Ports of the fake cloud: made like others, taken from servers, led to by floating IPs."""

from __future__ import annotations

import dataclasses

import pytest

from upgrade_flows import errors
from upgrade_flows.cloud.fake import FakeCloud
from upgrade_flows.model.inventory import Port


@pytest.fixture
def cloud() -> FakeCloud:
    return FakeCloud()


def port_of(cloud: FakeCloud, server_id: str) -> Port:
    return cloud.direct.network.ports(server_id)[0]


def settled(cloud: FakeCloud) -> None:
    cloud.clock.sleep(60.0)


# made like another


def test_a_port_is_made_again_with_all_that_it_was(cloud):
    server = cloud.add_server("web")
    port = port_of(cloud, server)
    cloud.change_port(
        port.id,
        name="front",
        description="of the web",
        security_groups=("web",),
        allowed_address_pairs=({"ip_address": "10.0.0.99"},),
        qos_policy_id="gold",
        tags=("mine",),
    )
    before = port_of(cloud, server)
    cloud.compute.detach_port(server, port.id)
    settled(cloud)
    made = cloud.network.create_port(before)
    assert made.id != before.id
    assert (
        dataclasses.replace(
            before,
            id=made.id,
            status="DOWN",
            device_id="",
            device_owner="",
            binding_host="",
            vif_type="unbound",
            vif_details={},
        )
        == made
    )


def test_a_port_without_wishes_gets_an_address_and_a_mac_of_its_own(cloud):
    first = cloud.network.port(cloud.add_port())
    wish = Port(id="", network_id=first.network_id, mac_address="", project_id="project-1")
    made = cloud.network.create_port(wish)
    assert made.fixed_ips == ((first.fixed_ips[0][0], "10.0.0.11"),)
    assert made.mac_address.startswith("fa:16:3e:")
    assert made.mac_address != first.mac_address


@pytest.mark.parametrize(
    ("change", "why"),
    [({"mac_address": ""}, "already allocated"), ({"fixed_ips": ()}, "mac address .* is in use")],
)
def test_what_another_port_has_is_refused(cloud, change, why):
    taken = cloud.network.port(cloud.add_port())
    with pytest.raises(errors.Conflict, match=why):
        cloud.network.create_port(dataclasses.replace(taken, **change))


def test_an_address_that_was_asked_for_is_given_to_nobody_else(cloud):
    first = cloud.network.port(cloud.add_port())
    plain = dataclasses.replace(first, mac_address="", fixed_ips=())
    wanted = dataclasses.replace(plain, fixed_ips=((first.fixed_ips[0][0], "10.0.0.11"),))
    cloud.network.create_port(wanted)
    assert cloud.network.create_port(plain).fixed_ips[0][1] == "10.0.0.12"


def test_a_project_has_no_more_ports_than_its_quota(cloud):
    port = cloud.network.port(cloud.add_port())
    cloud.limit("project-1", ports=1)
    assert cloud.network.quota("project-1").used == {"ports": 1}
    with pytest.raises(errors.TooLarge, match="port"):
        cloud.network.create_port(dataclasses.replace(port, mac_address="", fixed_ips=()))


def test_ports_are_found_by_their_name_and_by_their_mac(cloud):
    port = cloud.network.port(cloud.add_port(name="r/step"))
    cloud.add_port()
    assert cloud.network.find_ports("r/step") == (port,)
    assert cloud.network.ports(mac_address=port.mac_address) == (port,)


# deleted


def test_a_deleted_port_is_unplugged_and_its_floating_ip_leads_nowhere(cloud):
    server = cloud.add_server("web", nics=2, floating_ip=True)
    gone, left = cloud.direct.network.ports(server)
    cloud.network.delete_port(gone.id)
    assert cloud.state()["servers"][server]["nics"] == [left.id]
    assert [fip.port_id for fip in cloud.network.floating_ips()] == [None]
    with pytest.raises(errors.NotFound):
        cloud.network.port(gone.id)


# detached


def test_a_detached_port_that_nova_made_is_deleted_with_its_floating_ips_way(cloud):
    server = cloud.add_server("web", floating_ip=True)
    port = port_of(cloud, server)
    cloud.compute.detach_port(server, port.id)
    assert port_of(cloud, server).id == port.id
    settled(cloud)
    assert cloud.network.ports() == ()
    assert [fip.port_id for fip in cloud.network.floating_ips()] == [None]
    assert cloud.compute.actions(server)[-1].result == "Success"


def test_a_detached_port_of_its_owner_is_free_for_another_server(cloud):
    server = cloud.add_server("web", preexisting_ports=True, floating_ip=True)
    other = cloud.add_server("other", host="h2", nics=0)
    port = port_of(cloud, server)
    cloud.compute.detach_port(server, port.id)
    settled(cloud)
    freed = cloud.network.port(port.id)
    assert (freed.device_id, freed.binding_host, freed.dns_name) == ("", "", "")
    cloud.compute.attach_port(other, port.id)
    taken = cloud.network.port(port.id)
    assert (taken.device_id, taken.binding_host, taken.status) == (other, "h2", "ACTIVE")
    assert [fip.port_id for fip in cloud.network.floating_ips()] == [port.id]


def test_a_port_goes_to_another_server_and_back_without_a_trace(cloud):
    server = cloud.add_server("web", preexisting_ports=True)
    other = cloud.add_server("other", host="h2", nics=0)
    port = port_of(cloud, server)
    before = cloud.state()
    for source, target in ((server, other), (other, server)):
        cloud.compute.detach_port(source, port.id)
        settled(cloud)
        cloud.compute.attach_port(target, port.id)
    assert cloud.state() == before


def test_a_paused_guest_lets_go_of_nothing(cloud):
    server = cloud.add_server("web", data_volumes=1, status="PAUSED")
    (volume,) = cloud.compute.attachments(server)
    with pytest.raises(errors.Conflict, match="paused"):
        cloud.compute.detach_port(server, port_of(cloud, server).id)
    with pytest.raises(errors.Conflict, match="paused"):
        cloud.compute.detach_volume(server, volume.volume_id)


def test_only_the_action_says_that_a_port_was_not_there_to_be_detached(cloud):
    server = cloud.add_server("web")
    free = cloud.add_port()
    cloud.compute.detach_port(server, free)
    settled(cloud)
    assert cloud.compute.actions(server)[-1].result == "Error"
    assert cloud.network.port(free).id == free


def test_a_guest_that_does_not_let_go_keeps_its_port(cloud):
    server = cloud.add_server("web")
    cloud.faults.break_result("compute.detach_port")
    cloud.compute.detach_port(server, port_of(cloud, server).id)
    settled(cloud)
    assert port_of(cloud, server).status == "ACTIVE"
    assert cloud.compute.actions(server)[-1].result == "Error"


def test_a_held_port_is_not_attached(cloud):
    server = cloud.add_server("web")
    other = cloud.add_server("other")
    with pytest.raises(errors.Conflict, match="still in use"):
        cloud.compute.attach_port(other, port_of(cloud, server).id)


def test_a_port_with_the_dns_name_of_another_is_not_attached(cloud):
    other = cloud.add_server("other")
    with pytest.raises(errors.Unavailable, match="DNS name web"):
        cloud.compute.attach_port(other, cloud.add_port(dns_name="web"))


# floating IPs


def test_a_floating_ip_is_led_to_another_port(cloud):
    first = port_of(cloud, cloud.add_server("web", floating_ip=True))
    second = port_of(cloud, cloud.add_server("other"))
    (fip,) = cloud.network.floating_ips()
    cloud.network.associate(fip.id, second.id, second.fixed_ips[0][1])
    (led,) = cloud.network.floating_ips(second.id)
    assert (led.id, led.fixed_address) == (fip.id, second.fixed_ips[0][1])
    assert cloud.network.floating_ips(first.id) == ()


def test_an_address_has_one_floating_ip_at_most(cloud):
    cloud.add_server("web", floating_ip=True)
    other = port_of(cloud, cloud.add_server("other", floating_ip=True))
    first = cloud.network.floating_ips()[0]
    with pytest.raises(errors.Conflict, match="already has a floating IP"):
        cloud.network.associate(first.id, other.id)


def test_a_floating_ip_is_not_led_to_an_address_that_the_port_has_not(cloud):
    port = port_of(cloud, cloud.add_server("web", floating_ip=True))
    (fip,) = cloud.network.floating_ips()
    with pytest.raises(errors.Conflict, match=r"10\.9\.9\.9"):
        cloud.network.associate(fip.id, port.id, "10.9.9.9")


# paused guests


def test_a_paused_guest_keeps_its_port_and_goes_on(cloud):
    server = cloud.add_server("web")
    before = cloud.state()
    cloud.compute.pause(server)
    settled(cloud)
    seen = cloud.compute.server(server)
    assert (seen.status, seen.power_state, seen.task_state) == ("PAUSED", 3, None)
    assert port_of(cloud, server).status == "ACTIVE"
    cloud.compute.unpause(server)
    settled(cloud)
    assert cloud.state() == before


@pytest.mark.parametrize(("status", "call"), [("SHUTOFF", "pause"), ("ACTIVE", "unpause")])
def test_a_guest_is_paused_while_it_runs_and_goes_on_while_it_is_paused(cloud, status, call):
    server = cloud.add_server("web", status=status)
    with pytest.raises(errors.Conflict):
        getattr(cloud.compute, call)(server)
