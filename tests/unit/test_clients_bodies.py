"""What each method sends, and what it makes of the answer."""

import pytest
import requests_mock

from tests.unit.clients_http import (
    CINDER,
    GLANCE,
    NEUTRON,
    NOVA,
    PLACEMENT,
    Listing,
    cloud_on,
)
from upgrade_flows import errors
from upgrade_flows.cloud.api import InstanceAction, Migration, NewServer
from upgrade_flows.model.inventory import (
    AttachedVolume,
    Flavor,
    FloatingIP,
    Host,
    Quota,
    Room,
    ServerGroup,
)

ACTION = f"{NOVA}/servers/s/action"
SERVICE = {
    "id": "svc",
    "host": "h1",
    "status": "disabled",
    "state": "up",
    "zone": "nova",
    "disabled_reason": "old",
}


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


CHANGES = {
    "stop": (lambda c: c.compute.stop("s"), "POST", ACTION, {"os-stop": None}),
    "start": (lambda c: c.compute.start("s"), "POST", ACTION, {"os-start": None}),
    "pause": (lambda c: c.compute.pause("s"), "POST", ACTION, {"pause": None}),
    "unpause": (lambda c: c.compute.unpause("s"), "POST", ACTION, {"unpause": None}),
    "lock": (
        lambda c: c.compute.lock("s", "why"),
        "POST",
        ACTION,
        {"lock": {"locked_reason": "why"}},
    ),
    "unlock": (lambda c: c.compute.unlock("s"), "POST", ACTION, {"unlock": None}),
    "migrate": (
        lambda c: c.compute.migrate("s", "h2"),
        "POST",
        ACTION,
        {"migrate": {"host": "h2"}},
    ),
    "migrate anywhere": (lambda c: c.compute.migrate("s", None), "POST", ACTION, {"migrate": {}}),
    "confirm": (
        lambda c: c.compute.confirm_migration("s"),
        "POST",
        ACTION,
        {"confirmResize": None},
    ),
    "revert": (lambda c: c.compute.revert_migration("s"), "POST", ACTION, {"revertResize": None}),
    "shelve": (lambda c: c.compute.shelve("s"), "POST", ACTION, {"shelve": None}),
    "offload": (lambda c: c.compute.offload("s"), "POST", ACTION, {"shelveOffload": None}),
    "unshelve": (
        lambda c: c.compute.unshelve("s", "h2"),
        "POST",
        ACTION,
        {"unshelve": {"host": "h2"}},
    ),
    "unshelve anywhere": (
        lambda c: c.compute.unshelve("s", None),
        "POST",
        ACTION,
        {"unshelve": None},
    ),
    "delete": (
        lambda c: c.compute.delete("s"),
        "POST",
        f"{NOVA}/servers/s/action",
        {"forceDelete": None},
    ),
    "tags": (
        lambda c: c.compute.set_tags("s", ("a", "b")),
        "PUT",
        f"{NOVA}/servers/s/tags",
        {"tags": ["a", "b"]},
    ),
    "rename": (
        lambda c: c.compute.rename("s", "new"),
        "PUT",
        f"{NOVA}/servers/s",
        {"server": {"name": "new"}},
    ),
    "attach volume": (
        lambda c: c.compute.attach_volume("s", AttachedVolume("v", True, "/dev/vdb", None, "t")),
        "POST",
        f"{NOVA}/servers/s/os-volume_attachments",
        {
            "volumeAttachment": {
                "volumeId": "v",
                "delete_on_termination": True,
                "device": "/dev/vdb",
                "tag": "t",
            }
        },
    ),
    "detach volume": (
        lambda c: c.compute.detach_volume("s", "v"),
        "DELETE",
        f"{NOVA}/servers/s/os-volume_attachments/v",
        None,
    ),
    "keep volume": (
        lambda c: c.compute.set_delete_on_termination("s", "v", False),
        "PUT",
        f"{NOVA}/servers/s/os-volume_attachments/v",
        {"volumeAttachment": {"volumeId": "v", "delete_on_termination": False}},
    ),
    "attach port": (
        lambda c: c.compute.attach_port("s", "p"),
        "POST",
        f"{NOVA}/servers/s/os-interface",
        {"interfaceAttachment": {"port_id": "p"}},
    ),
    "detach port": (
        lambda c: c.compute.detach_port("s", "p"),
        "DELETE",
        f"{NOVA}/servers/s/os-interface/p",
        None,
    ),
    "delete port": (
        lambda c: c.network.delete_port("p"),
        "DELETE",
        f"{NEUTRON}/v2.0/ports/p",
        None,
    ),
    "associate": (
        lambda c: c.network.associate("f", "p", "10.0.0.1"),
        "PUT",
        f"{NEUTRON}/v2.0/floatingips/f",
        {"floatingip": {"port_id": "p", "fixed_ip_address": "10.0.0.1"}},
    ),
    "associate with the first address": (
        lambda c: c.network.associate("f", "p"),
        "PUT",
        f"{NEUTRON}/v2.0/floatingips/f",
        {"floatingip": {"port_id": "p"}},
    ),
    "delete volume": (
        lambda c: c.volumes.delete("v"),
        "DELETE",
        f"{CINDER}/volumes/v",
        None,
    ),
    "volume metadata": (
        lambda c: c.volumes.set_metadata("v", {"a": "1"}),
        "POST",
        f"{CINDER}/volumes/v/metadata",
        {"metadata": {"a": "1"}},
    ),
    "delete snapshot": (
        lambda c: c.volumes.delete_snapshot("n"),
        "DELETE",
        f"{CINDER}/snapshots/n",
        None,
    ),
    "snapshot metadata": (
        lambda c: c.volumes.set_snapshot_metadata("n", {"a": "1"}),
        "POST",
        f"{CINDER}/snapshots/n/metadata",
        {"metadata": {"a": "1"}},
    ),
    "image properties": (
        lambda c: c.images.set_properties("i", {"a/b": "1"}),
        "PATCH",
        f"{GLANCE}/v2/images/i",
        [{"op": "add", "path": "/a~1b", "value": "1"}],
    ),
    "release": (
        lambda c: c.placement.release("c"),
        "DELETE",
        f"{PLACEMENT}/allocations/c",
        None,
    ),
    "import key": (
        lambda c: c.compute.import_keypair("k", "ssh-x"),
        "POST",
        f"{NOVA}/os-keypairs",
        {"keypair": {"name": "k", "public_key": "ssh-x"}},
    ),
    "delete key": (
        lambda c: c.compute.delete_keypair("k/1"),
        "DELETE",
        f"{NOVA}/os-keypairs/k%2F1",
        None,
    ),
    "bind": (
        lambda c: c.network.bind("p", "h"),
        "PUT",
        f"{NEUTRON}/v2.0/ports/p",
        {"port": {"binding:host_id": "h"}},
    ),
    "unbind": (
        lambda c: c.network.unbind("p"),
        "PUT",
        f"{NEUTRON}/v2.0/ports/p",
        {"port": {"binding:host_id": ""}},
    ),
    "own": (
        lambda c: c.network.set_owner("p", "s", "compute:nova"),
        "PUT",
        f"{NEUTRON}/v2.0/ports/p",
        {"port": {"device_id": "s", "device_owner": "compute:nova"}},
    ),
    "dns": (
        lambda c: c.network.set_dns_name("p", "www"),
        "PUT",
        f"{NEUTRON}/v2.0/ports/p",
        {"port": {"dns_name": "www"}},
    ),
    "delete image": (lambda c: c.images.delete("i"), "DELETE", f"{GLANCE}/v2/images/i", None),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_change_is_one_request_with_this_body(http, name):
    call, method, url, body = CHANGES[name]
    port = {"id": "p", "network_id": "n", "mac_address": "fa:16:3e:00:00:01"}
    answer = {"port": port} if "/ports/" in url else {}
    http.register_uri(method, url, json=answer, status_code=202)
    call(cloud_on(http))
    sent = [r for r in http.request_history if "auth" not in r.url and r.method != "GET"]
    assert [(r.method, r.url) for r in sent] == [(method, url)]
    assert (sent[0].json() if sent[0].body else None) == body


@pytest.mark.parametrize(
    ("enabled", "reason", "body"),
    [
        (True, None, {"status": "enabled"}),
        (False, "work", {"status": "disabled", "disabled_reason": "work"}),
        (False, None, {"status": "disabled"}),
    ],
)
def test_a_host_is_enabled_and_disabled_by_the_id_of_its_service(http, enabled, reason, body):
    http.get(f"{NOVA}/os-services?binary=nova-compute&host=h1", json={"services": [SERVICE]})
    http.put(f"{NOVA}/os-services/svc", json={"service": SERVICE})
    cloud_on(http).compute.set_host_enabled("h1", enabled, reason)
    assert http.last_request.json() == body


def test_a_host_without_a_service_is_not_found(http):
    http.get(f"{NOVA}/os-services", json={"services": []})
    with pytest.raises(errors.NotFound, match="no compute host h9"):
        cloud_on(http).compute.set_host_enabled("h9", True)


def test_everything_of_a_new_server_is_in_the_body(http):
    http.post(f"{NOVA}/servers", json={"server": {"id": "new"}})
    new = NewServer(
        name="n",
        project_id="p-own",
        flavor_id="f",
        ports=("p2", "p1"),
        host="h1",
        boot_image="i",
        volumes=(AttachedVolume("v", True, "/dev/vdb", None, "t"),),
        availability_zone="az",
        description="d",
        hostname="hn",
        key_name="k",
        user_data="dQ==",
        config_drive=True,
        metadata={"a": "b"},
        tags=("x",),
        server_group="g",
        disk_config="AUTO",
        trusted_image_certificates=("c",),
    )
    cloud_on(http).compute.create(new)
    assert http.last_request.json() == {
        "server": {
            "name": "n",
            "flavorRef": "f",
            "imageRef": "i",
            "host": "h1",
            "networks": [{"port": "p2"}, {"port": "p1"}],
            "availability_zone": "az",
            "description": "d",
            "hostname": "hn",
            "key_name": "k",
            "user_data": "dQ==",
            "config_drive": True,
            "metadata": {"a": "b"},
            "tags": ["x"],
            "OS-DCF:diskConfig": "AUTO",
            "trusted_image_certificates": ["c"],
            "block_device_mapping_v2": [
                {
                    "uuid": "i",
                    "source_type": "image",
                    "destination_type": "local",
                    "boot_index": 0,
                    "delete_on_termination": True,
                },
                {
                    "uuid": "v",
                    "source_type": "volume",
                    "destination_type": "volume",
                    "boot_index": -1,
                    "delete_on_termination": True,
                    "tag": "t",
                },
            ],
        },
        "os:scheduler_hints": {"group": "g"},
    }


def test_a_volume_backed_server_boots_from_the_volume_with_index_0(http):
    http.post(f"{NOVA}/servers", json={"server": {"id": "new"}})
    root, data = AttachedVolume("v0", False, "", 0), AttachedVolume("v1", False)
    new = NewServer("n", "p-own", "f", (), volumes=(root, data))
    cloud_on(http).compute.create(new)
    assert http.last_request.json() == {
        "server": {
            "name": "n",
            "flavorRef": "f",
            "networks": "none",
            "metadata": {},
            "block_device_mapping_v2": [
                {
                    "uuid": "v0",
                    "source_type": "volume",
                    "destination_type": "volume",
                    "boot_index": 0,
                    "delete_on_termination": False,
                },
                {
                    "uuid": "v1",
                    "source_type": "volume",
                    "destination_type": "volume",
                    "boot_index": -1,
                    "delete_on_termination": False,
                },
            ],
        }
    }


def test_an_image_of_a_server_belongs_to_the_servers_project(http):
    http.get(f"{NOVA}/servers/s", json={"server": {"id": "s", "tenant_id": "p-other"}})
    http.post(ACTION, json={"image_id": "i"}, status_code=202)
    assert cloud_on(http).compute.create_image("s", "n") == "i"
    assert http.last_request.json() == {"createImage": {"name": "n", "metadata": {}}}
    token = [r for r in http.request_history if r.url.endswith("/auth/tokens")][-1]
    assert token.json()["auth"]["scope"]["project"]["id"] == "p-other"


def test_a_server_is_read_with_its_group_hints_and_networks_in_order(http):
    http.get(
        f"{NOVA}/servers/s",
        json={
            "server": {
                "id": "s",
                "name": "n",
                "status": "ACTIVE",
                "image": "",
                "config_drive": "True",
                "addresses": {
                    "z": [
                        {"addr": "10.0.0.9", "OS-EXT-IPS:type": "fixed"},
                        {"addr": "192.0.2.1", "OS-EXT-IPS:type": "floating"},
                    ],
                    "a": [{"addr": "10.0.0.1", "OS-EXT-IPS:type": "fixed"}],
                },
                "flavor": {
                    "original_name": "m1",
                    "vcpus": 2,
                    "ram": 4,
                    "disk": 1,
                    "ephemeral": 0,
                    "swap": 0,
                    "extra_specs": {"a": "b"},
                },
                "server_groups": ["g"],
                "scheduler_hints": {"group": ["g"]},
                "os-extended-volumes:volumes_attached": [
                    {"id": "v", "delete_on_termination": True}
                ],
            }
        },
    )
    server = cloud_on(http).compute.server("s")
    assert server.addresses == ("10.0.0.9", "10.0.0.1")
    assert server.flavor == Flavor("", "m1", 2, 4, 1, extra_specs={"a": "b"})
    assert (server.server_group, server.scheduler_hints) == ("g", {"group": ["g"]})
    assert server.volumes == (AttachedVolume("v", True),)
    assert server.volume_backed
    assert server.config_drive


@pytest.mark.parametrize(("image", "indexes"), [("", [0, None]), ({"id": "i"}, [None, None])])
def test_the_root_disk_is_the_volume_at_the_root_device(http, image, indexes):
    http.get(
        f"{NOVA}/servers/s",
        json={
            "server": {"id": "s", "image": image, "OS-EXT-SRV-ATTR:root_device_name": "/dev/vda"}
        },
    )
    http.get(
        f"{NOVA}/servers/s/os-volume_attachments",
        json={
            "volumeAttachments": [
                {
                    "volumeId": "v0",
                    "device": "/dev/vda",
                    "tag": None,
                    "delete_on_termination": True,
                },
                {
                    "volumeId": "v1",
                    "device": "/dev/vdb",
                    "tag": "t",
                    "delete_on_termination": False,
                },
            ]
        },
    )
    assert cloud_on(http).compute.attachments("s") == (
        AttachedVolume("v0", True, "/dev/vda", indexes[0], ""),
        AttachedVolume("v1", False, "/dev/vdb", indexes[1], "t"),
    )


def test_servers_are_filtered_by_nova(http):
    http.get(f"{NOVA}/servers/detail", json={"servers": []})
    cloud_on(http).compute.servers(host="h1", project_id="p", tag="t")
    assert http.last_request.qs == {
        "all_tenants": ["1"],
        "host": ["h1"],
        "project_id": ["p"],
        "tags": ["t"],
        "limit": ["1000"],
    }


def test_a_listing_follows_pages_that_are_shorter_than_asked_for(http):
    items = [{"id": f"s{n}", "name": "x"} for n in range(25)]
    http.get(f"{NOVA}/servers/detail", json=Listing("servers", items, at_most=10))
    assert [s.id for s in cloud_on(http).compute.servers()] == [i["id"] for i in items]


def test_a_listing_starts_again_when_its_marker_was_deleted(http):
    items = [{"id": "s1"}]
    more = {"servers": items, "servers_links": [{"rel": "next", "href": "x"}]}
    gone = {"badRequest": {"message": "marker [s1] not found", "code": 400}}
    http.get(
        f"{NOVA}/servers/detail",
        [{"json": more}, {"json": gone, "status_code": 400}, {"json": {"servers": items}}],
    )
    assert [s.id for s in cloud_on(http).compute.servers()] == ["s1"]


def test_an_action_ends_with_the_last_of_its_events(http):
    path = f"{NOVA}/servers/s/os-instance-actions"
    listed = [{"request_id": "r2", "action": "stop"}, {"request_id": "r1", "action": "create"}]
    http.get(path, json={"instanceActions": listed})
    http.get(
        f"{path}/r1",
        json={
            "instanceAction": {
                "action": "create",
                "request_id": "r1",
                "start_time": "1970-01-01T00:00:10.000000",
                "events": [
                    {
                        "start_time": "1",
                        "finish_time": "1970-01-01T00:00:12.500000",
                        "result": "Success",
                    },
                    {
                        "start_time": "2",
                        "finish_time": "1970-01-01T00:00:11.000000",
                        "result": "Success",
                    },
                ],
            }
        },
    )
    http.get(
        f"{path}/r2",
        json={
            "instanceAction": {
                "action": "stop",
                "request_id": "r2",
                "start_time": "1970-01-01T00:00:20.000000",
                "events": [{"start_time": "1", "finish_time": None, "result": None}],
            }
        },
    )
    assert cloud_on(http).compute.actions("s") == (
        InstanceAction("create", "r1", 10.0, 12.5, "Success"),
        InstanceAction("stop", "r2", 20.0, None, ""),
    )


def test_actions_of_the_same_second_keep_novas_order(http):
    path = f"{NOVA}/servers/s/os-instance-actions"
    names = ["stop", "lock", "create"]
    http.get(path, json={"instanceActions": [{"request_id": name} for name in names]})
    for name in names:
        http.get(
            f"{path}/{name}",
            json={
                "instanceAction": {
                    "action": name,
                    "request_id": name,
                    "start_time": "1970-01-01T00:00:10",
                }
            },
        )
    found = cloud_on(http).compute.actions("s")
    assert [action.action for action in found] == ["create", "lock", "stop"]


def test_migrations_come_oldest_first(http):
    def record(number, created):
        return {
            "id": number,
            "uuid": f"m{number}",
            "status": "finished",
            "created_at": created,
            "migration_type": "migration",
            "source_compute": "a",
            "dest_compute": "b",
        }

    http.get(
        f"{NOVA}/os-migrations?instance_uuid=s",
        json={"migrations": [record(2, "2020-02"), record(1, "2020-01")]},
    )
    assert cloud_on(http).compute.migrations("s") == (
        Migration("m1", "finished", "migration", "a", "b", "2020-01"),
        Migration("m2", "finished", "migration", "a", "b", "2020-02"),
    )


@pytest.mark.parametrize("code", [404, 422])
def test_an_event_that_nova_does_not_take_is_a_conflict(http, code):
    http.post(
        f"{NOVA}/os-server-external-events",
        status_code=207,
        json={"events": [{"code": code, "status": "failed"}]},
    )
    with pytest.raises(errors.Conflict, match=f"code {code}"):
        cloud_on(http).compute.refresh_port("s", "p")
    assert http.last_request.json() == {
        "events": [{"name": "network-changed", "server_uuid": "s", "tag": "p"}]
    }


def test_hosts_groups_keys_and_quotas_are_read(http):
    http.get(f"{NOVA}/os-services", json={"services": [SERVICE]})
    groups = [{"id": "g", "name": "n", "policy": "affinity", "members": ["s"], "project_id": "p"}]
    http.get(
        f"{NOVA}/os-server-groups",
        [{"json": {"server_groups": groups}}, {"json": {"server_groups": []}}],
    )
    http.get(f"{NOVA}/os-keypairs?user_id=u", json={"keypairs": [{"keypair": {"name": "k"}}]})
    http.get(f"{NOVA}/os-keypairs/k?user_id=u", json={"keypair": {"public_key": "ssh"}})
    http.get(
        f"{NOVA}/limits?tenant_id=p",
        json={
            "limits": {
                "absolute": {
                    "maxTotalInstances": -1,
                    "totalInstancesUsed": 3,
                    "maxServerGroupMembers": 10,
                }
            }
        },
    )
    compute = cloud_on(http).compute
    assert compute.hosts() == [Host("h1", "svc", False, True, "old", "nova")]
    assert compute.groups() == [ServerGroup("g", "n", "affinity", ("s",), "p")]
    assert compute.keypairs("u") == ("k",)
    assert compute.public_key("u", "k") == "ssh"
    assert compute.quota("p") == Quota(
        {"instances": -1, "server_group_members": 10}, {"instances": 3}
    )
    assert compute.own_user_id() == "u-own"


def test_a_port_without_optional_extensions_has_defaults(http):
    http.get(
        f"{NEUTRON}/v2.0/ports/p",
        json={
            "port": {
                "id": "p",
                "network_id": "n",
                "mac_address": "m",
                "fixed_ips": [{"subnet_id": "s", "ip_address": "10.0.0.1"}],
            }
        },
    )
    port = cloud_on(http).network.port("p")
    assert port.fixed_ips == (("s", "10.0.0.1"),)
    assert (port.dns_name, port.qos_policy_id, port.port_security_enabled, port.trunk_id) == (
        "",
        None,
        True,
        None,
    )


def test_a_trunks_parent_port_names_its_trunk(http):
    http.get(
        f"{NEUTRON}/v2.0/ports",
        json={
            "ports": [
                {
                    "id": "p",
                    "network_id": "n",
                    "mac_address": "m",
                    "trunk_details": {"trunk_id": "t"},
                }
            ]
        },
    )
    assert cloud_on(http).network.ports("s")[0].trunk_id == "t"
    assert http.last_request.qs["device_id"] == ["s"]


@pytest.mark.parametrize("url", [NEUTRON, f"{NEUTRON}/", f"{NEUTRON}/v2.0", f"{NEUTRON}/v2.0/"])
def test_neutron_is_found_however_the_catalogue_writes_it(http, url):
    http.get(
        f"{NEUTRON}/v2.0/floatingips?port_id=p",
        json={
            "floatingips": [
                {
                    "id": "f",
                    "floating_ip_address": "192.0.2.1",
                    "port_id": "p",
                    "fixed_ip_address": "10.0.0.1",
                }
            ]
        },
    )
    found = cloud_on(http, network=url).network.floating_ips("p")
    assert found == [FloatingIP("f", "192.0.2.1", "p", "10.0.0.1")]


def test_a_volume_tells_its_backend_and_where_it_is_attached(http):
    http.get(
        f"{CINDER}/volumes/v",
        json={
            "volume": {
                "id": "v",
                "name": None,
                "status": "in-use",
                "size": 3,
                "bootable": "true",
                "os-vol-host-attr:host": "h@b#p",
                "attachments": [{"server_id": "s", "device": "/dev/vda", "attachment_id": "a"}],
            }
        },
    )
    volume = cloud_on(http).volumes.volume("v")
    assert (volume.backend, volume.bootable, volume.attachments[0].server_id) == (
        "h@b#p",
        True,
        "s",
    )


def test_an_image_is_found_by_its_exact_name(http):
    http.get(
        f"{GLANCE}/v2/images",
        json={
            "images": [
                {
                    "id": "i",
                    "name": 'a,"b"',
                    "status": "active",
                    "stores": "rbd",
                    "hw_disk_bus": "scsi",
                },
                {"id": "j", "name": "other", "status": "active"},
            ]
        },
    )
    (image,) = cloud_on(http).images.find('a,"b"')
    assert (image.id, image.locations_backend, image.properties) == (
        "i",
        "rbd",
        {"hw_disk_bus": "scsi"},
    )
    assert "name=in%3A%22a%2C%5C%22b%5C%22%22" in http.last_request.url


def test_room_counts_ratio_reserve_and_children(http):
    providers = [
        {"uuid": "r", "name": "h1", "root_provider_uuid": "r"},
        {"uuid": "c", "name": "h1_NUMA0", "root_provider_uuid": "r"},
    ]
    http.get(f"{PLACEMENT}/resource_providers", json={"resource_providers": providers})
    for uuid, total in (("r", 10), ("c", 4)):
        http.get(
            f"{PLACEMENT}/resource_providers/{uuid}/inventories",
            json={
                "inventories": {"VCPU": {"total": total, "reserved": 2, "allocation_ratio": 1.5}}
            },
        )
        http.get(f"{PLACEMENT}/resource_providers/{uuid}/usages", json={"usages": {"VCPU": 1}})
    assert cloud_on(http).placement.rooms() == {"h1": Room({"VCPU": 15}, {"VCPU": 2})}


def test_without_heat_nobody_manages_anything(http):
    assert cloud_on(http).orchestration.managed_servers({"p-own"}) == {}


def test_servers_of_stacks_and_load_balancers_have_managers(http):
    heat = "http://heat.test/v1/p-own"
    http.get(
        f"{heat}/stacks",
        json={
            "stacks": [
                {"id": "1", "stack_name": "web"},
                {"id": "2", "stack_name": "k8s", "tags": ["magnum"]},
            ]
        },
    )
    http.get(
        f"{heat}/stacks/web/1/resources?type=OS::Nova::Server",
        json={"resources": [{"physical_resource_id": "s1"}]},
    )
    http.get(
        f"{heat}/stacks/k8s/2/resources",
        json={"resources": [{"physical_resource_id": "s2"}, {"physical_resource_id": ""}]},
    )
    http.get(
        "http://octavia.test/v2.0/octavia/amphorae",
        json={"amphorae": [{"id": "a", "compute_id": "s3", "loadbalancer_id": "lb"}]},
    )
    cloud = cloud_on(http, orchestration=heat, **{"load-balancer": "http://octavia.test"})
    assert cloud.orchestration.managed_servers({"p-own"}) == {
        "s1": "Heat stack web (1)",
        "s2": "Magnum, Heat stack k8s (2)",
        "s3": "Octavia load balancer lb",
    }


def test_a_project_whose_stacks_heat_hides_is_left_out(http, caplog):
    heat = "http://heat.test/v1/p-own"
    http.get(f"{heat}/stacks", status_code=403, json={})
    cloud = cloud_on(http, orchestration=heat)
    assert cloud.orchestration.managed_servers({"p-own"}) == {}
    assert "does not show the stacks of project p-own" in caplog.text
