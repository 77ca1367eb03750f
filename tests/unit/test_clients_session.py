"""What is tried again, and in which project."""

import pytest
import requests
import requests_mock
from urllib3 import exceptions as urllib3

from tests.unit.clients_http import KEYSTONE, NOVA, cloud_on, options
from upgrade_flows import errors
from upgrade_flows.cloud.api import Credentials, NewServer
from upgrade_flows.cloud.clients import connect

SERVER = {"server": {"id": "x", "name": "n", "status": "ACTIVE"}}
BUSY = {"status_code": 503, "json": {"error": {"message": "busy"}}}
REFUSED = requests.ConnectionError(
    urllib3.MaxRetryError(None, "/", urllib3.NewConnectionError(None, "refused"))
)


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


def times(http, method, url):
    return sum(r.method == method and r.url.startswith(url) for r in http.request_history)


def test_a_read_is_tried_three_times(http):
    http.get(f"{NOVA}/servers/x", [BUSY, BUSY, {"json": SERVER}])
    assert cloud_on(http).compute.server("x").name == "n"


def test_a_read_is_not_tried_a_fourth_time(http):
    http.get(f"{NOVA}/servers/x", **BUSY)
    with pytest.raises(errors.Unavailable):
        cloud_on(http).compute.server("x")
    assert times(http, "GET", f"{NOVA}/servers/x") == 3


@pytest.mark.parametrize(
    ("answer", "calls"),
    [
        (BUSY, 1),
        ({"exc": requests.exceptions.ReadTimeout}, 1),
        ({"status_code": 409, "json": {}}, 1),
        ({"status_code": 429, "json": {}}, 3),
        ({"exc": REFUSED}, 3),
        ({"exc": requests.exceptions.ConnectTimeout}, 3),
    ],
)
def test_a_change_is_repeated_only_if_it_was_not_looked_at(http, answer, calls):
    http.post(f"{NOVA}/servers/x/action", **answer)
    with pytest.raises(errors.CloudError):
        cloud_on(http).compute.start("x")
    assert times(http, "POST", f"{NOVA}/servers/x") == calls


@pytest.mark.parametrize(("after", "pauses"), [("7", [7.0, 7.0]), (None, [0.5, 1.0]), ("31", [])])
def test_a_pause_is_as_long_as_the_service_asks_up_to_half_a_minute(http, after, pauses):
    headers = {"Retry-After": after} if after else {}
    http.get(f"{NOVA}/servers/x", status_code=503, json={}, headers=headers)
    cloud, slept = cloud_on(http), []
    cloud._connection.session.sleep = slept.append
    with pytest.raises(errors.Unavailable):
        cloud.compute.server("x")
    assert slept == pauses


def test_an_expired_token_is_renewed(http):
    http.get(f"{NOVA}/servers/x", [{"status_code": 401, "json": {}}, {"json": SERVER}])
    assert cloud_on(http).compute.server("x").id == "x"
    assert times(http, "POST", f"{KEYSTONE}/auth/tokens") == 2


def test_an_old_nova_is_refused_with_its_version(http):
    with pytest.raises(errors.CloudError, match=r"up to 2\.79; 2\.90"):
        cloud_on(http, "2.79").compute.server("x")


@pytest.mark.parametrize(
    ("server", "ours"), [("2.93", "2.93"), ("2.100", "2.100"), ("2.150", "2.100")]
)
def test_the_microversion_is_the_newest_that_both_know(http, server, ours):
    http.get(f"{NOVA}/servers/x", json=SERVER)
    cloud_on(http, server).compute.server("x")
    assert http.last_request.headers["OpenStack-API-Version"] == f"compute {ours}"


def test_we_say_who_we_are(http):
    http.get(f"{NOVA}/servers/x", json=SERVER)
    http.post(f"{NOVA}/servers/x/action", status_code=202)
    cloud = cloud_on(http)
    cloud.compute.server("x")
    assert http.last_request.headers["User-Agent"].startswith("upgrade-flows/")
    cloud.compute.stop("x")
    assert http.last_request.headers["User-Agent"].startswith("upgrade-flows/")


def test_certificates_are_verified_and_calls_end(http):
    session = cloud_on(http)._connection.session
    assert (session.verify, session.timeout) == (True, 60.0)


def test_a_server_is_created_with_a_token_of_its_project(http):
    http.post(f"{NOVA}/servers", json={"server": {"id": "new"}})
    compute = cloud_on(http).compute
    for project in ("p-own", "p-other", "p-other"):
        assert compute.create(NewServer("n", project, "f", ())) == "new"
    scopes = [
        request.json()["auth"]["scope"]["project"]["id"]
        for request in http.request_history
        if request.url.endswith("/auth/tokens")
    ]
    assert scopes == ["p-own", "p-other"]


def test_projects_that_refuse_a_token_are_named(http):
    cloud = cloud_on(http)

    def refuse(request):
        return "p-closed" in request.text

    http.post(
        f"{KEYSTONE}/auth/tokens",
        additional_matcher=refuse,
        status_code=401,
        json={"error": {"message": "no role there", "code": 401}},
    )
    assert cloud.projects_without_us({"p-own", "p-open", "p-closed"}) == {"p-closed"}


def test_the_id_is_keystone_and_the_region(http):
    assert cloud_on(http).id == "http://keystone.test/v3#R1"


TOKEN_ALONE = {"auth_url": KEYSTONE, "token": "gAAAAA-given", "project_id": "p-own"}
APPLICATION = {
    "auth_url": KEYSTONE,
    "application_credential_id": "a",
    "application_credential_secret": "s",
}
WITH_CODE = {**options()["auth"], "passcode": "123456", "auth_methods": ["v3password", "v3totp"]}


@pytest.mark.parametrize(
    ("kind", "auth", "renewable"),
    [
        ("password", options()["auth"], True),
        ("v3applicationcredential", APPLICATION, True),
        ("v3token", TOKEN_ALONE, False),
        ("token", TOKEN_ALONE, False),
        ("v3multifactor", WITH_CODE, False),
    ],
)
def test_credentials_tell_when_their_token_ends_and_whether_there_is_another(
    http, kind, auth, renewable
):
    cloud_on(http)
    cloud = connect(options={"region_name": "R1", "auth_type": kind, "auth": auth})
    assert cloud.credentials() == Credentials(expires=4070908800.0, renewable=renewable)


def test_credentials_without_a_keystone_do_not_say_when_they_end():
    auth = {"token": "x", "endpoint": NOVA}
    cloud = connect(options={"region_name": "R1", "auth_type": "admin_token", "auth": auth})
    assert cloud.credentials() == Credentials(expires=None, renewable=False)
