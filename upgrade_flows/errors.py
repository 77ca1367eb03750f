"""Every error this library raises, ordered by who must act.

::

    UpgradeFlowsError
    ├── RequestError          the operator: the request, plan or option is wrong    exit 2
    │   ├── PlanChanged       the plan was edited, or belongs to another cloud
    │   └── SubjectBusy       another run holds the subject's lease
    ├── PluginError           the installer: a plugin is missing or does not load   exit 2
    ├── JournalError          the installer: the journal cannot be used             exit 2
    ├── BoardError            the installer: the job board does not answer          exit 2
    ├── NotReady              preflight refuses; carries the findings               exit 3
    ├── CloudError            the cloud answered no (raised by ``cloud`` only)      exit 1
    │   ├── NotFound, Conflict, Forbidden, Unauthorized, TooLarge
    │   ├── Unavailable       5xx, 429, connection lost: worth another try
    │   └── TimedOut          the cloud did not reach a state before a deadline
    ├── DatabaseError         a service's database cannot be read                   exit 1
    ├── HostError             a host or guest refused or failed what a plugin asked of it  exit 1
    │   └── HostUnreachable   it does not answer: worth another try
    ├── Parked                a step has stopped half-way, as was asked, and goes on later
    ├── StepFailed            the cloud reached a state that a step cannot accept   exit 4
    ├── RunFailed             the run failed and was undone cleanly                 exit 4
    └── ResidueLeft           undone, except for what is listed                     exit 5
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class UpgradeFlowsError(Exception):
    """Root of all errors of this library."""

    exit_code = 1


class RequestError(UpgradeFlowsError):
    """What the operator asked for cannot be understood or does not exist."""

    exit_code = 2


class PlanChanged(RequestError):
    """The plan is not the one that was made, or is not for this cloud."""


class SubjectBusy(RequestError):
    """Another run holds the lease of a subject.

    :param for_s: seconds after which its owner counts as dead if it is not heard of, or None.
    """

    def __init__(self, message: str, for_s: float | None = None) -> None:
        super().__init__(message)
        self.for_s = for_s


class PluginError(UpgradeFlowsError):
    """A plugin is missing, incomplete or does not load."""

    exit_code = 2


class JournalError(UpgradeFlowsError):
    """The journal cannot be read or written."""

    exit_code = 2


class BoardError(UpgradeFlowsError):
    """The job board's server does not answer, or refuses; what was asked may be asked again."""

    exit_code = 2


class NotReady(UpgradeFlowsError):
    """Preflight found reasons not to start.

    :param findings: what stands in the way, as ``model.report.Finding``.
    """

    exit_code = 3

    def __init__(self, message: str, findings: Sequence[Any] = ()) -> None:
        super().__init__(message)
        self.findings = tuple(findings)


class CloudError(UpgradeFlowsError):
    """The cloud refused or failed a call.

    :param request_id: the service's ``X-Openstack-Request-Id``, where it sent one.
    """

    def __init__(self, message: str, request_id: str = "") -> None:
        super().__init__(f"{message} (request {request_id})" if request_id else message)
        self.request_id = request_id


class NotFound(CloudError):
    """What the call names does not exist (404)."""


class Conflict(CloudError):
    """The resource is in a state in which the call is not allowed (400, 409)."""


class Forbidden(CloudError):
    """The credentials do not permit the call (403)."""


class Unauthorized(CloudError):
    """There are no valid credentials (401), also after authenticating anew."""

    exit_code = 2


class TooLarge(CloudError):
    """A quota or size limit is in the way (413)."""


class Unavailable(CloudError):
    """The service does not answer properly (429, 5xx, connection lost)."""


class TimedOut(CloudError):
    """A resource did not reach the wanted state before the deadline."""


class DatabaseError(UpgradeFlowsError):
    """The database of a service does not answer, or refuses a query."""


class HostError(UpgradeFlowsError):
    """A compute host, or a guest, refused or failed what a plugin asked of it.

    The message says which one, what was asked, and the end of what it answered.
    """


class HostUnreachable(HostError):
    """A compute host, or a guest, does not answer; nothing is known of what was asked of it."""


class Parked(UpgradeFlowsError):
    """A step has stopped half-way because its run is to be parked; it runs again later."""


class StepFailed(UpgradeFlowsError):
    """A step's evidence says that its effect did not happen."""

    exit_code = 4


class RunFailed(UpgradeFlowsError):
    """At least one subject failed; everything done to it was undone."""

    exit_code = 4


class ResidueLeft(UpgradeFlowsError):
    """At least one undo was refused; the report lists what is left behind."""

    exit_code = 5
