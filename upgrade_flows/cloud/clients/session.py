"""Authentication and transport: how the clients reach the cloud."""

from __future__ import annotations

import functools
import importlib.metadata
import threading
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
import yaml
from keystoneauth1 import adapter, loading
from keystoneauth1 import exceptions as ksa
from keystoneauth1 import session as ksa_session
from openstack import config as os_config
from openstack import exceptions as sdk
from openstack.config.cloud_region import CloudRegion
from urllib3 import exceptions as urllib3

from upgrade_flows import errors
from upgrade_flows.cloud.api import Credentials, Endpoint
from upgrade_flows.cloud.clients.errors import scrub

CALL_TIMEOUT_S = 60.0
CONNECTIONS = 32
TRIES = 3
LONGEST_PAUSE_S = 30.0
_SCOPE = {
    "project_id",
    "project_name",
    "project_domain_id",
    "project_domain_name",
    "tenant_id",
    "tenant_name",
    "domain_id",
    "domain_name",
    "system_scope",
    "trust_id",
}

#: the ways to authenticate that work once, or for as long as the token that was given
_ONCE = {
    "admin_token",
    "token",
    "v2token",
    "v3token",
    "v3totp",
    "v3oidcaccesstoken",
    "v3oidcauthcode",
}


def user_agent() -> str:
    """Return how we introduce ourselves: ``upgrade-flows/<version>``."""
    try:
        return f"upgrade-flows/{importlib.metadata.version('upgrade-flows')}"
    except importlib.metadata.PackageNotFoundError:
        return "upgrade-flows/0"


class CloudSession(ksa_session.Session):
    """A keystoneauth session that tries again where that is safe.

    Reads are tried three times when the service is unavailable.  A call that changes something
    is repeated only if the service said that it had not looked at it (429) or was never reached
    (connection refused, not resolved, connect time-out).  An expired token is renewed by
    keystoneauth.

    Errors are always raised, as keystoneauth's own, also to client libraries that ask for the
    response instead in order to raise theirs: so there is one kind of exception to translate.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        if kwargs.get("timeout") is None:
            kwargs["timeout"] = CALL_TIMEOUT_S
        super().__init__(*args, **kwargs)
        for scheme in ("http://", "https://"):
            self.mount(scheme, ksa_session.TCPKeepAliveAdapter(pool_maxsize=CONNECTIONS))
        self.sleep: Callable[[float], None] = time.sleep
        self._inside = threading.local()

    def request(self, url: str, method: str, *args: Any, **kwargs: Any) -> requests.Response:
        """Make a request; see the class for what is tried again."""
        kwargs["raise_exc"] = True
        send = functools.partial(super().request, url, method, *args, **kwargs)
        if getattr(self._inside, "request", False):
            return send()  # authentication or discovery, on behalf of a call that retries
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_attempt(TRIES),
            retry=tenacity.retry_if_exception(functools.partial(_worth_another_try, method)),
            wait=_pause,
            sleep=lambda seconds: self.sleep(seconds),
            reraise=True,
        )
        self._inside.request = True
        try:
            return retrying(send)
        finally:
            self._inside.request = False


class Connection:
    """One cloud's configuration, and the sessions and adapters made from it.

    Holds credentials; its representation does not.
    """

    def __init__(self, region: CloudRegion) -> None:
        self._region = region
        self._lock = threading.Lock()
        self._by_project: dict[str, ksa_session.Session] = {}

    def __repr__(self) -> str:
        return f"<Connection {self.id}>"

    @property
    def id(self) -> str:
        """Return ``<auth_url without trailing slash>#<region>``."""
        url = str(self._region.get_auth_args().get("auth_url", ""))
        return f"{scrub(url).rstrip('/')}#{self._region.get_region_name() or ''}"

    @property
    def has_secret_in_url(self) -> bool:
        """Whether the URL of Keystone holds a user or a password."""
        return "@" in urlsplit(str(self._region.get_auth_args().get("auth_url", ""))).netloc

    @functools.cached_property
    def session(self) -> ksa_session.Session:
        """The session of the credentials as they were given."""
        return self._region.get_session()

    def endpoint(self, service: str) -> dict[str, Any]:
        """Return what finds the endpoint of a service, as keyword arguments of an Adapter."""
        return {
            "service_type": self._region.get_service_type(service),
            "service_name": self._region.get_service_name(service),
            "interface": self._region.get_interface(service),
            "region_name": self._region.get_region_name(service),
            "endpoint_override": self._region.get_endpoint(service),
        }

    def adapter(self, service: str, **kwargs: Any) -> adapter.Adapter:
        """Return an adapter that sends requests to one service."""
        return adapter.Adapter(**{"session": self.session, **self.endpoint(service), **kwargs})

    def has(self, service: str) -> bool:
        """Whether the catalogue has the service."""
        try:
            return bool(self.adapter(service).get_endpoint())
        except ksa.EndpointNotFound:
            return False

    def root(self, service: str, version: str) -> str:
        """Return a service's URL without the version that some catalogues append."""
        url = self.adapter(service).get_endpoint()
        if not url:
            raise ksa.EndpointNotFound(f"the catalogue has no {service} service")
        return str(url).rstrip("/").removesuffix(version).rstrip("/")

    def endpoints(self) -> tuple[Endpoint, ...]:
        """Return what the catalogue of our token has for our region."""
        region = self._region.get_region_name()
        get_access = getattr(self.session.auth, "get_access", None)
        if get_access is None:
            return ()
        return tuple(
            Endpoint(service["type"], one["interface"], one["url"])
            for service in get_access(self.session).service_catalog.normalize_catalog()
            for one in service["endpoints"]
            if one["url"] and (not region or one["region_id"] in (region, None))
        )

    def credentials(self) -> Credentials:
        """Return how long the credentials let us in; see ``api.Credentials``."""
        config = self._region.config
        methods = {str(config.get("auth_type") or "password")}
        methods.update(self._region.get_auth_args().get("auth_methods") or ())
        get_access = getattr(self.session.auth, "get_access", None)
        expires = get_access(self.session).expires if get_access else None
        return Credentials(
            expires=expires.timestamp() if expires else None, renewable=not methods & _ONCE
        )

    def for_project(self, project_id: str) -> ksa_session.Session:
        """Return a session of the same user in another project; made once for each.

        :raises Forbidden: these credentials are bound to one project.
        """
        if project_id == self.session.get_project_id():
            return self.session
        with self._lock:
            if project_id not in self._by_project:
                self._by_project[project_id] = self._rescoped(project_id)
            return self._by_project[project_id]

    def _rescoped(self, project_id: str) -> ksa_session.Session:
        kind = str(self._region.config.get("auth_type") or "password")
        loader: loading.BaseLoader[Any] = loading.get_plugin_loader(kind)
        known = {option.dest for option in loader.get_options()}
        if "project_id" not in known or "applicationcredential" in kind:
            raise errors.Forbidden(
                f"credentials of the kind {kind} cannot act in project {project_id}: "
                "they belong to one project"
            )
        own = self._region.get_auth_args()
        options = {key: value for key, value in own.items() if key in known - _SCOPE}
        verify, cert = self._region.get_requests_verify_args()
        session = CloudSession(
            auth=loader.load_from_options(**options, project_id=project_id),
            verify=verify,
            cert=cert,
            timeout=self.session.timeout,
            app_name=self.session.app_name,
            app_version=self.session.app_version,
        )
        session.sleep = getattr(self.session, "sleep", time.sleep)
        return session


def load(
    cloud: str | None = None, *, region: str | None = None, options: dict[str, Any] | None = None
) -> Connection:
    """Find the credentials and make a connection of them; nothing is sent.

    :param cloud: the name of an entry in ``clouds.yaml``; without it, the OS_* variables.
    :param options: what an entry of ``clouds.yaml`` may hold; with it and without ``cloud``
        neither files nor the environment are read.
    :raises RequestError: there are none, or they are incomplete.
    """
    name, version = user_agent().split("/")
    alone = bool(options) and cloud is None
    chosen = dict(options or {})
    if region:
        chosen["region_name"] = region
    try:
        config = os_config.OpenStackConfig(
            session_constructor=CloudSession,
            app_name=name,
            app_version=version,
            load_yaml_config=not alone,
            load_envvars=not alone,
        )
        connection = Connection(config.get_one(cloud, **chosen))
    except yaml.MarkedYAMLError as exc:
        line = f", line {exc.problem_mark.line + 1}" if exc.problem_mark else ""
        raise errors.RequestError(f"clouds.yaml is not valid YAML{line}") from None
    except (sdk.SDKException, ksa.ClientException, OSError) as exc:
        which = f"cloud {cloud!r}" if cloud else "the cloud"
        raise errors.RequestError(
            scrub(f"no credentials for {which}: {exc}")
            + "; name an entry of clouds.yaml with --os-cloud, or set the OS_* variables"
        ) from exc
    return _refuse_secret_in_url(connection)


def _refuse_secret_in_url(connection: Connection) -> Connection:
    """Refuse an auth_url that holds a password, for libraries write URLs into logs."""
    if connection.has_secret_in_url:
        raise errors.RequestError("auth_url must not hold a user or password: use options")
    return connection


def _worth_another_try(method: str, exc: BaseException) -> bool:
    if isinstance(exc, ksa.HttpError):
        if exc.retry_after and exc.retry_after > LONGEST_PAUSE_S:
            return False
        return exc.http_status == 429 or (method == "GET" and exc.http_status >= 500)
    if isinstance(exc, ksa.SSLError):
        return False
    if isinstance(exc, (ksa.ConnectionError, ksa.DiscoveryFailure)):
        return method == "GET" or _was_not_sent(exc)
    return False


def _was_not_sent(exc: BaseException) -> bool:
    cause = exc.__cause__ or exc.__context__
    if isinstance(cause, requests.exceptions.ConnectTimeout):
        return True
    inner = cause.args[0] if isinstance(cause, requests.ConnectionError) and cause.args else None
    return isinstance(getattr(inner, "reason", inner), urllib3.NewConnectionError)


def _pause(state: tenacity.RetryCallState) -> float:
    exc = state.outcome.exception() if state.outcome else None
    asked = getattr(exc, "retry_after", 0) or 0
    return float(asked or min(0.5 * 2 ** (state.attempt_number - 1), LONGEST_PAUSE_S))
