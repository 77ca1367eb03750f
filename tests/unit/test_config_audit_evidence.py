"""What the audit says of the files of a cloud of 2025.1, beside what confirms it.

``evidence.yaml`` has each finding with the package and the path in its sources (its release notes,
or the module that defines the option) that confirms it, and what stands there; ``absent: NAME``
says that the name does not stand there any more.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest
import yaml

from tests import sources
from tests.unit.config_audit_samples import FILES
from upgrade_flows.config_audit import audit, metadata, values
from upgrade_flows.config_audit.metadata import canonical

RECORDED = yaml.safe_load((FILES / "evidence.yaml").read_text(encoding="utf-8"))

OLD, NEW = metadata.load("2025.1"), metadata.load("2026.1")

#: a directory of unpacked sources, ``NAME-VERSION/``, to look everything up in
SOURCES = os.environ.get("UPGRADE_FLOWS_SOURCES")


def said(finding):
    where = finding.subject.rpartition("/")[2]
    evidence = finding.evidence
    return f"{finding.id} {finding.severity} {evidence['rank']} {where} {evidence['option']}"


def test_the_audit_finds_exactly_what_is_recorded():
    found = audit.audit(OLD, NEW, audit.read([str(FILES / "controller")]))
    assert [said(one) for one in found.findings] == [one["finding"] for one in RECORDED]
    assert found.exit_code == 2


def test_every_kind_of_finding_of_one_host_is_among_them():
    kinds = {one["finding"].split()[0] for one in RECORDED}
    # no line is wrong or newer than its release, none says a thing twice, and none has moved
    others = {f"UF-CFG-{number:03}" for number in (1, 5, 6, 10, 15)}
    assert kinds == {f"UF-CFG-{number:03}" for number in range(1, 16)} - others


def test_what_confirms_it_is_of_the_packages_that_the_metadata_is_made_of():
    versions = {}
    for service in NEW.services.values():
        versions |= service.libraries
    known = {f"{re.sub('[-_.]', '-', name)} {version}" for name, version in versions.items()}
    used = {re.sub(r"^([\w.-]+)", lambda m: re.sub("[-_.]", "-", m[1]), one["package"])
            for one in RECORDED}  # fmt: skip
    assert used - known == set()


@pytest.mark.parametrize("one", RECORDED, ids=[one["finding"] for one in RECORDED])
def test_what_confirms_it_stands_there(one):
    name, version = one["package"].split()
    folder = sources.folder_of(Path(SOURCES or "nowhere"), name, version)
    if not folder.is_dir():
        pytest.skip(f"UPGRADE_FLOWS_SOURCES has no {folder.name}: python -m tests.sources DIR")
    text = (folder / one["path"]).read_text(encoding="utf-8")
    _, mark, gone = one["shows"].partition("absent: ")
    stands = re.search(rf"\b{re.escape(gone if mark else one['shows'])}\b", text)
    assert bool(stands) is not bool(mark)


# the defaults of the old release, as its sample has them


def sample(service, commented):
    """Return what the generated sample has: every option with its default."""
    text, sign = [], "#" if commented else ""
    for group in sorted({option.group for option in service.options.values()}, key=str.lower):
        text.append(f"[{group}]")
        for option in service.options.values():
            said = values.written(option, option.default)
            told = said is not None and not values.REFERENCE.search(said)
            if option.group == group and (commented or told):
                text.append(f"{sign}{option.name} = {said if said is not None else '<None>'}")
    return "\n".join(text) + "\n"


MAIN = {
    "nova": "nova.conf", "neutron": "neutron.conf", "cinder": "cinder.conf",
    "glance": "glance-api.conf", "keystone": "keystone.conf", "placement": "placement.conf",
    "heat": "heat.conf",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(MAIN))
def test_a_sample_in_which_nothing_is_set_has_changed_defaults_only(name):
    text = sample(OLD.services[name], commented=True)
    found = audit.audit(OLD, NEW, [(MAIN[name], text)]).findings
    changed = {one.evidence["option"] for one in found}
    assert {one.id for one in found} == {"UF-CFG-014"}
    assert "[DEFAULT] default_log_levels" in changed
    assert changed == CHANGED[name] | {"[DEFAULT] default_log_levels"}


CHANGED = {
    "nova": {"[DEFAULT] graceful_shutdown_timeout", "[DEFAULT] sync_power_state_pool_size"},
    "neutron": {"[DEFAULT] vlan_qinq", "[DEFAULT] vlan_transparent"},
    "cinder": set(),
    "glance": set(),
    "keystone": set(),
    "placement": set(),
    "heat": set(),
}


@pytest.mark.parametrize("name", sorted(MAIN))
def test_a_sample_in_which_every_default_is_set_says_nothing_that_is_refused(name):
    text = sample(OLD.services[name], commented=False)
    found = audit.audit(OLD, NEW, [(MAIN[name], text)]).findings
    graver = [one for one in found if one.severity == "error"]
    assert [(one.id, one.evidence["option"]) for one in graver] == REFUSED.get(name, [])
    assert {one.id for one in found} <= {
        "UF-CFG-002", "UF-CFG-004", "UF-CFG-007", "UF-CFG-008", "UF-CFG-011",
    }  # fmt: skip
    removed = {one.evidence["option"] for one in found if one.id == "UF-CFG-002"}
    gone = [option for option in OLD.services[name].options.values() if _gone(name, option)]
    assert removed == {str(option) for option in gone if option.default is not None}


def _gone(name, option):
    service = NEW.services[name]
    return option.key not in service.options and option.key not in service.old


#: defaults of 2025.1 that 2026.1 refuses where they are spelt out
REFUSED = {
    "cinder": [("UF-CFG-008", "[backend_defaults] u4p_failover_timeout")],
    "glance": [
        ("UF-CFG-008", "[glance.store.swift.store] swift_store_auth_version"),
        ("UF-CFG-008", "[glance_store] swift_store_auth_version"),
    ],
    "heat": [
        ("UF-CFG-007", "[clients_heat] url"),
        ("UF-CFG-007", "[clients_keystone] auth_uri"),
    ],
}


@pytest.mark.parametrize("name", metadata.names())
def test_every_option_of_every_release_judges_any_value(name):
    for service in metadata.load(name).services.values():
        for option in service.options.values():
            for raw in ("", "1", "a,b:c", "[x", "é\n  y", values.written(option, option.default)):
                assert isinstance(values.problem(option, raw or ""), str)


def test_a_group_is_compared_as_oslo_config_compares_it():
    assert [canonical(name) for name in ("DEFAULT", "Default", "API")] == [
        "DEFAULT", "default", "api",
    ]  # fmt: skip
