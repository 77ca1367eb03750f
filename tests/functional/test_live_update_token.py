"""A live update of five minutes, with tokens that live for one; it began with other tests."""

from __future__ import annotations

import pytest

from tests.functional.instances import truth
from tests.functional.patient import RUN_S, TOKEN_S
from tests.functional.unmanned import but_for_new_ports
from tests.lab import tokens
from upgrade_flows.model.report import State


@pytest.fixture(scope="module")
def ended(patient):
    """Let the run go on to its end, and take it back."""
    waiting = patient.updates.journal.subject(patient.run, patient.server).state
    life = tokens.life()
    there = patient.goes_on()
    changed = patient.updates.journal.subject(patient.run, patient.server)
    back = patient.type("rollback", patient.run, "--yes")
    undone = patient.updates.journal.subject(patient.run, patient.server)
    yield {
        "life": life,
        "waiting": waiting,
        "changed": changed,
        "undone": undone,
        "said": (there, back),
        "differs": but_for_new_ports(patient.before, truth(patient.server)),
    }
    patient.end()


def test_it_waits_for_five_minutes_and_then_goes_on_to_its_end(ended, patient):
    assert ended["life"] == TOKEN_S
    assert ended["waiting"] is State.CHANGING
    assert len(patient.told("waiting")) == 1
    changed = ended["changed"]
    assert (changed.state, changed.error) == (State.CHANGED, ""), ended["said"]
    assert changed.ended - changed.started >= RUN_S


def test_it_is_taken_back_as_if_nothing_had_happened(ended):
    assert [code for code, _ in ended["said"]] == [0, 0]
    assert (ended["undone"].state, ended["undone"].residue) == (State.UNDONE, ())
    assert ended["differs"] == {}
