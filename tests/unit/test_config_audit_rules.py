"""Each kind of finding, on two releases of a few options."""

from __future__ import annotations

import pytest

from tests.unit.config_audit_samples import NEW, OLD, PINNED, lines, of, options, release
from upgrade_flows import errors
from upgrade_flows.config_audit import audit


def found(text):
    """Return what is found besides the defaults, of lines after those that pin them."""
    result = of(PINNED + text)
    return [(number, grave, option) for number, grave, _, option in lines(result)]


def message(text):
    (one,) = of(PINNED + text).findings
    return one.message


def test_a_file_that_the_new_release_reads_alike_has_no_finding():
    assert of(PINNED + "[api]\nlimit = 5\naddress = 2.2.2.2\n").findings == ()
    assert of(PINNED).exit_code == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[DEFAULT]\nmode\n", ("001", "error", "(none)")),
        ("[DEFAULT]\ngone = y\n", ("002", "warning", "[DEFAULT] gone")),
        ("[DEFAULT]\ngone = x\n", ("002", "info", "[DEFAULT] gone")),
        ("[DEFAULT]\nold_limit = 7\n", ("003", "error", "[DEFAULT] old_limit")),
        ("[DEFAULT]\nold_limit = 1000\n", ("003", "warning", "[DEFAULT] old_limit")),
        ("[api]\ntenant = x\n", ("004", "warning", "[api] tenant")),
        ("[DEFAULT]\nhost_ip = 3.3.3.3\n", ("005", "warning", "[DEFAULT] host_ip")),
        ("[other]\ncolor = blue\n", ("005", "warning", "[other] color")),
        ("[api]\ntenant = x\nproject = y\n", ("006", "warning", "[api] tenant")),
        ("[DEFAULT]\nnumber = five\n", ("007", "error", "[DEFAULT] number")),
        ("[DEFAULT]\nnumber = 6\n", ("007", "info", "[DEFAULT] number")),
        ("[DEFAULT]\nmode = b\n", ("008", "error", "[DEFAULT] mode")),
        ("[DEFAULT]\nworkers = 9\n", ("008", "error", "[DEFAULT] workers")),
        ("[DEFAULT]\nworkers = many\n", ("008", "error", "[DEFAULT] workers")),
        ("[api]\nadress = 4.4.4.4\n", ("009", "warning", "[api] adress")),
        ("[libvrit]\ncpu_mode = none\n", ("009", "warning", "[libvrit]")),
        ("[api]\nbrand_new = 1\n", ("010", "info", "[api] brand_new")),
        ("[DEFAULT]\nleaving = m\n", ("011", "warning", "[DEFAULT] leaving")),
        (
            "[libvirt]\ndriver = nova.virt.hyperv.driver.HyperVDriver\n",
            ("013", "error", "[libvirt] driver"),
        ),
    ],
)  # fmt: skip
def test_a_line_is_found_under_its_number(text, expected):
    assert expected in found(text)


def test_a_value_that_refers_to_another_option_is_not_judged():
    assert found("[DEFAULT]\nworkers = $number\nmode = ${api.tenant}\n") == []


def test_a_removed_option_is_shown_with_the_reason_that_the_old_release_gave():
    assert message("[DEFAULT]\ngone = y\n").endswith("no effect any more (Nobody used it.)")


def test_an_unknown_option_is_told_with_the_nearest_name_or_the_section_that_has_it():
    assert message("[api]\nadress = 4.4.4.4\n").endswith("did you mean address?")
    assert message("[libvirt]\nlimit = 4\n").endswith("there is [api] limit")
    assert message("[libvrit]\ncpu_mode = none\n").endswith("did you mean [libvirt]?")


def test_an_old_name_that_the_new_release_has_forgotten_is_graver_if_it_said_something():
    one, other = (of(PINNED + f"[DEFAULT]\nold_limit = {n}\n").exit_code for n in (1000, 7))
    assert (one, other) == (1, 2)


def test_a_changed_default_is_found_where_the_file_does_not_pin_it():
    result = of("[DEFAULT]\n")
    assert [(f.id, f.severity, f.message) for f in result.findings] == [
        ("UF-CFG-014", "warning", "not set; its default was ext3 and is vfat in 2026.1"),
        ("UF-CFG-014", "info", "not set; its default was k and is changed in 2026.1"),
    ]
    assert [f.evidence["rank"] for f in result.findings] == ["data", "operator"]
    assert result.findings[0].subject == "nova.conf"


def test_a_default_is_pinned_by_any_file_of_the_same_host():
    files = [
        ("nova.conf", "[DEFAULT]\nkept = k\n"),
        ("nova-cpu.conf", "[libvirt]\nimages_type = ext3\n"),
    ]
    assert audit.audit(OLD, NEW, files).findings == ()


def test_without_the_main_file_defaults_are_not_judged_and_that_is_said():
    result = audit.audit(OLD, NEW, [("nova-cpu.conf", "[api]\nlimit = 5\n")])
    assert result.findings == ()
    assert result.notes == ("nova: its main file was not given, so changed defaults are not known",)


def test_what_guests_notice_comes_before_what_operators_notice():
    result = of("[DEFAULT]\ngone = y\n[libvirt]\nhw_typo = q35\n")
    assert [one.evidence["rank"] for one in result.findings] == [
        "data", "guest", "operator", "operator",
    ]  # fmt: skip


def test_an_error_that_keeps_the_service_from_starting_is_noticed_by_users():
    (one,) = of(PINNED + "[DEFAULT]\nworkers = 9\n").findings
    assert one.evidence["rank"] == "user"
    assert one.evidence["rank_reason"] == "the service fails when it reads it"


def test_no_secret_is_shown():
    text = (
        PINNED
        + "[DEFAULT]\npassword = s3cret\npasswort = s3cret\n"
        + "[api]\nproject_url = http://u:s3cret@a/\n[other]\nmy_secret = s3cret\n"
    )
    result = of(text)
    assert len(result.findings) == 3
    assert "s3cret" not in str(result.findings)


# hosts


def hosts(*texts):
    files = [(f"hosts/node-{n}/nova.conf", PINNED + text) for n, text in enumerate(texts, 1)]
    return audit.audit(OLD, NEW, files)


def test_what_differs_between_hosts_is_found_at_the_host_that_is_unlike_the_others():
    same, odd = "[libvirt]\ncpu_mode = host-model\n", "[libvirt]\ncpu_mode = custom\n"
    (one,) = hosts(same, odd, same).findings
    assert (one.id, one.severity, one.subject) == (
        "UF-CFG-015", "warning", "hosts/node-2/nova.conf:6",
    )  # fmt: skip
    assert one.evidence["hosts"] == {
        "node-1": "host-model", "node-2": "custom", "node-3": "host-model",
    }  # fmt: skip


def test_a_default_that_is_said_and_one_that_is_not_are_no_difference():
    assert hosts("[api]\nlimit = 1000\n", "").findings == ()


def test_what_is_different_on_every_host_by_its_nature_is_no_difference():
    one, other = (f"[api]\naddress = node-{n}.example\n" for n in (1, 2))
    assert hosts(one, other).findings == ()


def test_the_name_of_a_host_is_not_looked_for_inside_of_words():
    files = [(f"{host}/nova.conf", PINNED + "[api]\naddress = bar\n") for host in ("a", "b")]
    assert audit.audit(OLD, NEW, files).findings == ()


def test_files_of_different_processes_are_not_compared():
    files = [
        ("nova-api/nova.conf", PINNED + "[libvirt]\ncpu_mode = none\n"),
        ("nova-compute/nova.conf", PINNED + "[libvirt]\ncpu_mode = custom\n"),
    ]
    assert audit.audit(OLD, NEW, files).findings == ()


# what cannot be audited


def test_a_file_whose_name_says_nothing_needs_its_service():
    with pytest.raises(errors.RequestError, match="say --service"):
        of("[DEFAULT]\n", path="settings.conf")
    assert of(PINNED, path="settings.conf", service="nova").findings == ()


def test_a_service_that_the_new_release_has_not_is_refused():
    with pytest.raises(errors.RequestError, match=r"no metadata of heat 2026\.1"):
        of("[DEFAULT]\n", path="heat.conf")


def test_a_service_that_only_the_new_release_has_is_compared_with_that():
    heat = release("2026.1", options(DEFAULT={"a": {"choices": ["x"]}}), service="heat")
    result = audit.audit(OLD, heat, [("heat.conf", "[DEFAULT]\na = y\nb = z\n")])
    assert [one.id for one in result.findings] == ["UF-CFG-008", "UF-CFG-009"]
    assert result.notes == ("there is no metadata of heat 2025.1: changed defaults are not known",)
