"""What the tests on the lab share: the lab itself, our connection to it, and a clean slate."""

from __future__ import annotations

import pytest

from tests.conductors.fleet import Fleet
from tests.functional.killing import NAMES
from tests.functional.patient import Patient
from tests.lab import api, hosts, reset
from tests.lab.settings import Settings


@pytest.fixture(scope="session", autouse=True)
def lab():
    """Make sure that the lab is up, and empty; a test that cannot run there has failed."""
    settings = Settings.load()
    if not settings.clouds_yaml.exists():
        pytest.fail("the lab is not up; bring it up with: python -m tests.lab up", pytrace=False)
    api.shared("lab-admin").authorize()
    reset.reset()
    return settings


@pytest.fixture(scope="session")
def cloud(lab):
    """Return our own connection to the lab, through the real client libraries."""
    from upgrade_flows.cloud import clients

    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OS_CLIENT_CONFIG_FILE", str(lab.clouds_yaml))
        return clients.connect("lab-admin")


@pytest.fixture(scope="module")
def fleet(lab, request, tmp_path_factory):
    """Return three conductors at work, with redis and PostgreSQL of their own.

    A module can say how often the owner of a subject may die before a step ends (MOST_TRIES).
    """
    fleet = Fleet(tmp_path_factory.mktemp("fleet"))
    fleet.furnish(ttl_s=5.0, most_tries=getattr(request.module, "MOST_TRIES", 5))
    try:
        for name in NAMES:
            fleet.start(name)
        yield fleet
    finally:
        fleet.down()


@pytest.fixture(scope="session")
def patient(lab, tmp_path_factory):
    """Return a live update that waits, for five minutes in all, while other tests do their work.

    The tests that ask for it first need not have to do with it: their own minutes are its.
    """
    patient = Patient(tmp_path_factory.mktemp("patient"))
    yield patient
    patient.end()


@pytest.fixture(scope="module")
def updates(cloud, tmp_path_factory):
    """Return the live updates of a test module; what is left of them is deleted at its end."""
    from tests.functional import live

    hosts.up()
    updates = live.Updates(cloud, tmp_path_factory.mktemp("journal"))
    yield updates
    live.clear(updates)
