"""The options, and the sample file that is made from them."""

import importlib.metadata
from dataclasses import fields
from pathlib import Path

import pytest
import yaml
from oslo_config import cfg, generator

from upgrade_flows.conf import opts, paths
from upgrade_flows.model.request import UpgradeRequest
from upgrade_flows.steps.base import Settings

ETC = Path(__file__).parents[2] / "etc" / "upgrade_flows"


def registered():
    conf = cfg.ConfigOpts()
    opts.register_opts(conf)
    conf([], default_config_files=[], default_config_dirs=[])
    return conf


def every_option():
    return [option for _, group in opts.list_opts() for option in group]


def test_the_deadlines_are_those_of_the_steps_with_their_defaults():
    conf = registered()
    assert {field.name: conf.steps[field.name] for field in fields(Settings)} == {
        "server_s": 300.0,
        "image_s": 3600.0,
        "volume_s": 300.0,
        "port_s": 120.0,
        "arrival_s": 900.0,
        "live_migration_s": 120.0,
        "live_migration_s_per_gib": 30.0,
        "cold_migration_s": 3600.0,
        "reboot_s": 1800.0,
        "compute_s": 300.0,
        "calls_at_a_time": 8,
    }
    assert set(conf.steps) == {field.name for field in fields(Settings)}


@pytest.mark.parametrize("option", every_option(), ids=lambda option: option.name)
def test_every_option_says_in_a_first_sentence_what_it_is(option):
    assert option.help.strip().split("\n\n")[0].endswith(".")


def test_a_pace_of_nothing_at_a_time_is_refused():
    with pytest.raises(ValueError, match="Should be greater than or equal to 1"):
        registered().set_override("at_a_time", 0, group="engine")


def test_the_journal_of_a_user_is_below_their_home(monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setenv("HOME", "/home/ann")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    url = "sqlite:////home/ann/.local/state/upgrade-flows/journal.db"
    assert paths.journal_url() == url


def test_the_journal_of_root_is_in_var_lib(monkeypatch):
    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    monkeypatch.setattr("os.geteuid", lambda: 0)
    assert paths.journal_url() == "sqlite:////var/lib/upgrade-flows/journal.db"


def test_the_journal_is_where_xdg_says(monkeypatch):
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    assert paths.journal_url() == "sqlite:////srv/state/upgrade-flows/journal.db"


def test_the_sample_file_is_up_to_date(tmp_path, monkeypatch):
    if not importlib.metadata.entry_points(group="oslo.config.opts", name="upgrade_flows"):
        pytest.skip("the package is not installed")
    made = tmp_path / "sample"
    generator.main(
        [
            "--config-file",
            str(ETC / "upgrade-flows-config-generator.conf"),
            "--output-file",
            str(made),
        ]
    )
    assert made.read_text() == (ETC / "upgrade-flows.conf.sample").read_text()


def test_the_example_request_is_valid():
    plain = yaml.safe_load((ETC / "recreate.yaml").read_text())
    request = UpgradeRequest.from_plain(plain)
    assert request.scope.hosts == ("compute-1", "compute-2")
    assert request.rollout.canaries == 1
