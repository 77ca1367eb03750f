"""Every failure of a client library becomes one of our errors, and tells no secrets."""

import pytest
import requests
import requests_mock
from cinderclient import exceptions as cinder
from glanceclient import exc as glance
from novaclient import exceptions as nova
from urllib3 import exceptions as urllib3

from tests.unit.clients_http import (
    CINDER,
    GLANCE,
    NEUTRON,
    NOVA,
    PASSWORD,
    TOKEN,
    cloud_on,
    options,
)
from upgrade_flows import errors
from upgrade_flows.cloud.clients import connect
from upgrade_flows.cloud.clients.errors import scrub, translate, translated

STATUS = [
    (400, errors.Conflict),
    (401, errors.Unauthorized),
    (403, errors.Forbidden),
    (404, errors.NotFound),
    (405, errors.CloudError),
    (409, errors.Conflict),
    (413, errors.TooLarge),
    (429, errors.Unavailable),
    (500, errors.Unavailable),
    (503, errors.Unavailable),
    (504, errors.Unavailable),
]
CALLS = [
    ("GET", f"{NOVA}/servers/x", lambda cloud: cloud.compute.server("x")),
    ("POST", f"{NOVA}/servers/x/action", lambda cloud: cloud.compute.stop("x")),
    ("GET", f"{NEUTRON}/v2.0/ports/x", lambda cloud: cloud.network.port("x")),
    ("PUT", f"{NEUTRON}/v2.0/ports/x", lambda cloud: cloud.network.unbind("x")),
    ("GET", f"{CINDER}/volumes/x", lambda cloud: cloud.volumes.volume("x")),
    ("GET", f"{GLANCE}/v2/images/x", lambda cloud: cloud.images.image("x")),
    ("DELETE", f"{GLANCE}/v2/images/x", lambda cloud: cloud.images.delete("x")),
]
REFUSED = requests.ConnectionError(
    urllib3.MaxRetryError(None, "/", urllib3.NewConnectionError(None, "refused"))
)
LOST = [
    requests.exceptions.ConnectTimeout("slow"),
    requests.exceptions.ReadTimeout("slow"),
    requests.ConnectionError(urllib3.ProtocolError("aborted", ConnectionResetError(104, "reset"))),
    requests.exceptions.SSLError("certificate verify failed"),
    REFUSED,
]


@pytest.fixture
def http():
    with requests_mock.Mocker() as mocker:
        yield mocker


@pytest.mark.parametrize(("method", "url", "call"), CALLS)
@pytest.mark.parametrize(("status", "kind"), STATUS)
def test_a_status_becomes_one_kind_of_error_from_every_service(
    http, method, url, call, status, kind
):
    http.register_uri(
        method,
        url,
        status_code=status,
        headers={"x-openstack-request-id": "req-1"},
        json={"badness": {"message": "it will not do", "code": status}},
    )
    with pytest.raises(errors.CloudError) as caught:
        call(cloud_on(http))
    assert type(caught.value) is kind
    assert caught.value.request_id == "req-1"
    for part in (" x:", method, "it will not do", str(status), "req-1"):
        assert part in str(caught.value)


@pytest.mark.parametrize(("method", "url", "call"), CALLS)
@pytest.mark.parametrize("failure", LOST, ids=lambda f: type(f).__name__)
def test_a_lost_connection_is_unavailable_from_every_service(http, method, url, call, failure):
    http.register_uri(method, url, exc=failure)
    with pytest.raises(errors.Unavailable):
        call(cloud_on(http))


def test_a_refusal_that_speaks_of_a_quota_is_too_large(http):
    http.post(
        f"{NOVA}/servers/x/action",
        status_code=403,
        json={"forbidden": {"message": "Quota exceeded for cores: Requested 1", "code": 403}},
    )
    with pytest.raises(errors.TooLarge):
        cloud_on(http).compute.unshelve("x", None)


def test_a_page_of_a_proxy_instead_of_json_is_unavailable(http):
    http.get(f"{NOVA}/servers/x", text="<html>sorry</html>")
    with pytest.raises(errors.Unavailable, match="not a JSON object"):
        cloud_on(http).compute.server("x")


def test_a_service_that_the_catalogue_lacks_is_not_found(http):
    cloud = cloud_on(http, image="")
    with pytest.raises(errors.CloudError):
        cloud.images.images()


@pytest.mark.parametrize(
    ("exc", "kind"),
    [
        (nova.NotFound(404, "gone"), errors.NotFound),
        (nova.OverLimit(413, "too much"), errors.TooLarge),
        (nova.UnsupportedVersion("old"), errors.CloudError),
        (cinder.Forbidden(403, "no"), errors.Forbidden),
        (cinder.ConnectionError("lost"), errors.Unavailable),
        (glance.HTTPConflict("busy"), errors.Conflict),
        (glance.CommunicationError("lost"), errors.Unavailable),
        (requests.exceptions.ChunkedEncodingError("cut"), errors.Unavailable),
    ],
)
def test_what_the_libraries_raise_themselves_is_translated_too(exc, kind):
    assert type(translate(exc, "doing")) is kind


def test_our_own_mistakes_are_not_dressed_up_as_the_clouds():
    @translated("toy")
    class Toy:
        def play(self):
            raise KeyError("bug")

    with pytest.raises(KeyError):
        Toy().play()


@pytest.mark.parametrize(
    "text",
    [
        f"http://admin:{PASSWORD}@keystone.test/v3 is down",
        f"{{'password': '{PASSWORD}'}}",
        f"password={PASSWORD}&x=y",
        f"X-Auth-Token: {TOKEN}",
        f"token {TOKEN} expired",
    ],
)
def test_scrubbing_takes_secrets_out(text):
    assert PASSWORD not in scrub(text)
    assert TOKEN not in scrub(text)


def test_no_secret_is_in_a_message_or_a_representation(http):
    cloud = cloud_on(http)
    http.get(
        f"{NOVA}/os-services",
        status_code=401,
        json={"error": {"message": f"token {TOKEN} of password={PASSWORD} refused", "code": 401}},
    )
    with pytest.raises(errors.Unauthorized) as caught:
        cloud.check_credentials()
    for text in (str(caught.value), repr(caught.value), repr(cloud), repr(cloud._connection)):
        assert PASSWORD not in text
        assert TOKEN not in text


def test_refused_credentials_are_unauthorized(http):
    cloud = cloud_on(http)
    http.post(
        "http://keystone.test/v3/auth/tokens",
        status_code=401,
        json={"error": {"message": "The request requires authentication.", "code": 401}},
    )
    with pytest.raises(errors.Unauthorized) as caught:
        cloud.check_credentials()
    assert PASSWORD not in str(caught.value)


def test_credentials_of_no_administrator_are_said_to_be_that(http):
    http.get(
        f"{NOVA}/os-services",
        status_code=403,
        json={"forbidden": {"message": "Policy doesn't allow it", "code": 403}},
    )
    with pytest.raises(errors.Forbidden, match="not an administrator's"):
        cloud_on(http).check_credentials()


def test_missing_credentials_are_the_operators_mistake():
    incomplete = options()
    del incomplete["auth"]["auth_url"]
    with pytest.raises(errors.RequestError) as caught:
        connect(options=incomplete)
    assert PASSWORD not in str(caught.value)


def test_a_password_in_the_url_is_refused_before_a_library_logs_it():
    careless = options()
    careless["auth"]["auth_url"] = f"http://admin:{PASSWORD}@keystone.test/v3"
    with pytest.raises(errors.RequestError, match="auth_url must not hold") as caught:
        connect(options=careless)
    assert PASSWORD not in str(caught.value)


def test_a_page_of_html_is_said_without_its_markup(http):
    page = "<html><head><title>404 Not Found</title></head><body><h1>404</h1>No image</body>"
    http.get(f"{GLANCE}/v2/images/x", status_code=404, text=page)
    with pytest.raises(errors.NotFound, match=r"images/x: No image \(HTTP 404\)"):
        cloud_on(http).images.image("x")


def test_a_cloud_that_no_file_knows_is_the_operators_mistake():
    with pytest.raises(errors.RequestError, match="no-such-cloud"):
        connect("no-such-cloud")


def test_a_broken_clouds_yaml_does_not_show_its_line(tmp_path, monkeypatch):
    (tmp_path / "clouds.yaml").write_text(f"clouds:\n  a: {{password: {PASSWORD}\n b: [")
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(tmp_path / "clouds.yaml"))
    with pytest.raises(errors.RequestError) as caught:
        connect("a")
    assert PASSWORD not in str(caught.value)
