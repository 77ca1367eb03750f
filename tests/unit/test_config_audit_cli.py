"""``config audit`` and ``config metadata`` as they are called."""

from __future__ import annotations

import json
import lzma
import stat
import sys
from pathlib import Path

import pytest

from tests.unit.cli_samples import cli
from upgrade_flows.cli.wiring import Wiring
from upgrade_flows.config_audit import environment, making, metadata

RELEASES = ("--from", "2025.1", "--to", "2026.1")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))


def audit(*argv):
    return cli("config", "audit", *RELEASES, *map(str, argv), wiring=Wiring())


def write(path, text):
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


QUIET = "[DEFAULT]\ndefault_log_levels = amqp=WARN\n"


@pytest.mark.parametrize(
    ("text", "code"),
    [
        (QUIET, 0),
        (QUIET + "watch_log_file = true\n", 1),
        (QUIET + "[cache]\nbackend = oslo_cache.mongo\n", 2),
    ],
)
def test_the_exit_code_is_that_of_the_gravest_finding(text, code):
    write("placement.conf", text)
    assert audit("placement.conf")[0] == code


def test_nothing_found_is_said():
    write("placement.conf", QUIET)
    assert audit("placement.conf") == (0, "Nothing was found.\n", "")


@pytest.mark.parametrize(
    ("argv", "said"),
    [
        (["config", "audit", *RELEASES, "missing.conf"], "missing.conf cannot be read"),
        (["config", "audit", *RELEASES, "settings.conf"], "say --service"),
        (["config", "audit", *RELEASES, "empty"], "there is no configuration file in empty"),
        (["config", "audit", "--from", "2026.1", "--to", "2025.1", "nova.conf"], "is not before"),
        (["config", "audit", "--from", "2009.1", "--to", "2025.1", "nova.conf"],
         "there is no metadata of release 2009.1; there is of 202"),
        (["config", "audit", *RELEASES, "--environment", "empty", "nova.conf"], "no bin/python"),
        (["config", "audit", *RELEASES, "--environment", "2024.1=empty", "nova.conf"],
         "neither --from nor --to"),
    ],
)  # fmt: skip
def test_an_audit_that_cannot_be_made_ends_with_255_and_one_line(argv, said):
    write("nova.conf", "[DEFAULT]\n")
    write("settings.conf", "[DEFAULT]\n")
    Path("empty").mkdir()
    code, out, err = cli(*argv, wiring=Wiring())
    assert (code, out) == (255, "")
    assert said in err
    assert err.count("\n") == 1


def test_a_command_line_that_is_not_understood_is_no_finding():
    code, out, err = cli("config", "audit", "--from", "2025.1", "nova.conf", wiring=Wiring())
    assert (code, out) == (255, "")
    assert err.startswith("usage: upgrade-flows config audit ")


def test_also_what_nobody_expected_ends_with_255():
    class Broken(Wiring):
        def audit_config(self, *arguments):
            raise ZeroDivisionError("oh")

    code, _, err = cli("config", "audit", *RELEASES, "nova.conf", wiring=Broken())
    assert (code, err) == (255, "upgrade-flows: ZeroDivisionError: oh\n")


def test_the_table_says_where_who_what_and_what_to_do():
    write("etc/placement.conf", QUIET + "watch_log_file = true\n")
    _, out, _ = audit("etc")
    words = " ".join(out.split())
    assert "UF-CFG-002 operator placement.conf:3 removed: 2026.1 does not" in words
    assert "[DEFAULT] watch_log_file" in words
    assert "take it out" in words
    assert out.endswith("\n0 errors, 1 warning, 0 for information\n")


def test_what_many_hosts_have_in_common_is_one_row():
    for host in ("a", "b", "c"):
        write(f"hosts/{host}/placement.conf", QUIET + "watch_log_file = true\n")
    _, out, _ = audit("hosts")
    assert out.count("UF-CFG-002") == 1
    assert "a/placement.conf:3 and 2" in " ".join(out.split())


def test_files_may_be_named_in_any_way_and_twice(tmp_path):
    write("etc/placement.conf", QUIET + "watch_log_file = true\n")
    write("etc/heat.conf", QUIET + "watch_log_file = true\n")
    code, out, _ = audit("etc", tmp_path / "etc" / "placement.conf", tmp_path / "etc/heat.conf")
    assert code == 1
    assert out.endswith("\n0 errors, 2 warnings, 0 for information\n")


def test_json_has_everything_of_a_finding():
    write("placement.conf", QUIET + "watch_log_file = true\n")
    code, out, _ = audit("-f", "json", "placement.conf")
    assert code == 1
    found = json.loads(out)
    assert (found["from"], found["to"]) == ("2025.1", "2026.1")
    assert found["files"] == ["placement.conf"]
    (one,) = found["findings"]
    assert one["id"] == "UF-CFG-002"
    assert one["subject"] == "placement.conf:3"
    assert one["evidence"] | {"rank_reason": ""} == {
        "file": "placement.conf", "line": 3, "service": "placement", "host": "",
        "option": "[DEFAULT] watch_log_file", "value": "true", "rank": "operator",
        "rank_reason": "", "fix": {"action": "comment"},
    }  # fmt: skip


def test_a_patched_copy_and_a_difference_are_written_and_the_original_is_left():
    text = QUIET + "watch_log_file = true\n[DEFAULT]\ndebug = true\n"
    for host in ("a", "b"):
        write(f"hosts/{host}/placement.conf", text)
    code, _, err = audit("--fix", "patched", "hosts")
    assert code == 1
    assert err.count("written: patched/") == 4
    for host in ("a", "b"):
        assert Path(f"hosts/{host}/placement.conf").read_text() == text
        copy = Path(f"patched/{host}/placement.conf")
        assert "#watch_log_file = true\n" in copy.read_text()
        assert stat.S_IMODE(copy.stat().st_mode) == 0o600
        assert "-watch_log_file = true" in Path(f"{copy}.diff").read_text()
    assert audit("patched")[0] == 0


def test_an_original_is_never_overwritten():
    text = QUIET + "watch_log_file = true\n"
    write("etc/placement.conf", text)
    code, _, err = audit("--fix", "etc", "etc/placement.conf")
    assert code == 255
    assert "would be overwritten" in err
    assert Path("etc/placement.conf").read_text() == text


def test_a_mechanism_driver_that_went_away_with_a_release_is_found():
    write("ml2_conf.ini", "[ml2]\nmechanism_drivers = linuxbridge,l2population\n")
    code, out, _ = cli(
        "config", "audit", "--from", "2024.2", "--to", "2025.1", "-f", "json", "ml2_conf.ini",
        wiring=Wiring(),
    )  # fmt: skip
    assert code == 2
    (one,) = json.loads(out)["findings"]
    assert (one["id"], one["evidence"]["rank"]) == ("UF-CFG-013", "guest")
    assert one["message"] == (
        "the plugin linuxbridge (neutron.ml2.mechanism_drivers) does not come with 2025.1 any more"
    )


# environments


def test_options_of_an_installed_environment_are_read_with_its_own_python():
    found = environment.read(Path(sys.prefix), "upgrade-flows")
    service = metadata.service_of("upgrade-flows", found)
    option = service.options["engine", "at_a_time"]
    assert (option.type, option.default) == ("integer", 1)
    assert option.limits["min"] == 1
    assert service.plugins["upgrade_flows.network"] == ["ovs", "ovs-dpdk"]
    assert "oslo-config" in service.libraries


def test_a_service_that_is_not_shipped_is_audited_by_its_environment():
    write("upgrade-flows.conf", "[engine]\nat_a_time = 0\nat_a_tim = 1\n")
    argv = ["--service", "upgrade-flows", "--environment", sys.prefix, "-f", "json"]
    code, out, _ = audit(*argv, "upgrade-flows.conf")
    assert code == 2
    found = json.loads(out)
    assert [(one["id"], one["evidence"]["line"]) for one in found["findings"]] == [
        ("UF-CFG-008", 2), ("UF-CFG-009", 3),
    ]  # fmt: skip
    assert found["notes"] == [
        "there is no metadata of upgrade-flows 2025.1: changed defaults are not known"
    ]


def test_two_environments_are_compared_with_each_other():
    write("upgrade-flows.conf", "[engine]\nat_a_time = 0\n")
    both = ["--environment", f"1={sys.prefix}", "--environment", f"2={sys.prefix}"]
    code, out, _ = cli(
        "config", "audit", "--from", "1", "--to", "2", *both, "--service", "upgrade-flows",
        "-f", "json", "upgrade-flows.conf", wiring=Wiring(),
    )  # fmt: skip
    assert code == 2
    assert json.loads(out)["notes"] == []


def test_a_service_that_is_not_installed_is_refused():
    write("glance-api.conf", "[DEFAULT]\n")
    code, _, err = audit("--environment", sys.prefix, "glance-api.conf")
    assert code == 255
    assert "not installed in" in err


# metadata


def test_the_releases_that_are_shipped_have_all_seven_services():
    assert {"2025.1", "2025.2", "2026.1"} <= set(metadata.names())
    for name in metadata.names():
        release = metadata.load(name)
        assert set(release.services) == set(making.SOURCES[name].majors)
        for service, major in making.SOURCES[name].majors.items():
            assert release.services[service].version.split(".")[0] == str(major)
            assert len(release.services[service].options) > 200


def test_nothing_of_the_machine_that_made_it_is_in_the_metadata():
    for name in metadata.names():
        for service in metadata.load(name).services.values():
            for option in service.options.values():
                assert "/tmp/tmp" not in str(option.default), option
                assert "upgrade-flows-options-" not in str(option.default), option


def test_the_same_metadata_is_packed_to_the_same_bytes():
    value = {"release": "2025.1", "services": {"b": 1, "a": [1]}}
    assert metadata.pack(value) == metadata.pack(dict(reversed(value.items())))
    assert json.loads(lzma.decompress(metadata.pack(value))) == value


def stub(monkeypatch, tmp_path, script):
    """Let a script stand for uv."""
    tool = write(tmp_path / "bin" / "uv", f'#!/bin/sh\necho "$@" >> {tmp_path}/calls\n{script}\n')
    tool.chmod(0o755)
    monkeypatch.setattr(making, "uv", lambda: [str(tool)])


READS = '{"version": "1", "libraries": {}, "left_out": {"x": "why"}, "options": {"DEFAULT": {"a": {"type": "string"}}}, "plugins": {}, "modules": []}'  # fmt: skip  # noqa: E501


def test_metadata_is_made_from_packages_of_the_releases_day(monkeypatch, tmp_path):
    stub(
        monkeypatch,
        tmp_path,
        'if [ "$1" = venv ]; then mkdir -p "$4/bin"; printf \'#!/bin/sh\\necho \'"\'"\''
        + READS
        + '\'"\'"\'\\n\' > "$4/bin/python"; chmod +x "$4/bin/python"; fi',
    )
    code, out, err = cli("config", "metadata", "2025.1", "--output", "made.xz", wiring=Wiring())
    assert (code, err) == (0, "")
    assert out.splitlines()[0] == "nova 1: 1 option; left out: x"
    made = json.loads(lzma.decompress(Path("made.xz").read_bytes()))
    assert made["made"] == {"day": "2025-04-02"}
    calls = (tmp_path / "calls").read_text().splitlines()
    assert "nova>=31,<32" in calls[1]
    assert "openstack-placement>=13,<14" in calls[1]
    assert "--exclude-newer 2025-04-02" in calls[1]
    assert not Path(calls[0].split()[-1]).exists()  # it is gone again


def test_metadata_can_be_made_with_a_list_of_constraints(monkeypatch, tmp_path):
    stub(monkeypatch, tmp_path, 'if [ "$1" = pip ]; then echo no such version >&2; exit 1; fi')
    code, _, err = cli(
        "config", "metadata", "2025.1", "--output", "made.xz", "--constraints", "upper.txt",
        wiring=Wiring(),
    )  # fmt: skip
    assert code == 2
    assert err == "upgrade-flows: the packages cannot be installed: no such version\n"
    assert "--constraints upper.txt" in (tmp_path / "calls").read_text()
    assert "--exclude-newer" not in (tmp_path / "calls").read_text()


def test_a_release_that_nobody_knows_is_not_made():
    code, _, err = cli("config", "metadata", "1.0", "--output", "x", wiring=Wiring())
    assert code == 2
    assert "release 1.0 is not known; known are 2023.1" in err
