"""What the service reads, and what it keeps to itself."""

import logging
import sys

import pytest

from upgrade_flows.errors import RequestError
from upgrade_flows.service import logs, settings

BOARD = "[board]\nurl = redis://:hunter22@board:6379/0\n"


@pytest.fixture(autouse=True)
def handlers():
    root = logging.getLogger()
    before, level, hook = list(root.handlers), root.level, sys.excepthook
    yield
    sys.excepthook = hook
    root.handlers[:] = before
    root.setLevel(level)


def load(tmp_path, text):
    path = tmp_path / "some.conf"
    path.write_text(text)
    return settings.load(settings.read([f"--config-file={path}"]))


def test_the_defaults_are_those_of_the_manual(tmp_path, monkeypatch):
    monkeypatch.setattr("socket.gethostname", lambda: "controller-1")
    found = load(tmp_path, BOARD)
    assert (found.jobs, found.ttl_s, found.steps_at_a_time, found.most_tries) == (10, 30.0, 1, 5)
    assert found.health == ("127.0.0.1", 9899)
    assert found.name == "controller-1"
    assert found.bus is None
    assert found.steps.server_s == 300.0


def test_a_conductor_without_a_board_is_told_what_to_set_and_where(tmp_path):
    with pytest.raises(RequestError, match=r"^\[board\] url is missing: .*some\.conf.*Redis, etcd"):
        load(tmp_path, "")


def test_settings_do_not_show_their_secrets(tmp_path):
    text = (
        "[journal]\nurl = mysql+pymysql://uf:opensesame@db/uf\n"
        "[notifications]\ntransport_url = rabbit://uf:swordfish@bus/\n"
    )
    found = load(tmp_path, BOARD + text)
    assert not any(word in repr(found) for word in ("hunter22", "opensesame", "swordfish"))
    assert len(found.secrets) == 3


def test_the_publisher_is_named_after_the_conductor(tmp_path):
    text = "[conductor]\nname = blue\n[notifications]\ntransport_url = fake://\n"
    assert load(tmp_path, BOARD + text).bus == settings.Bus(
        "fake://", ("notifications",), "upgrade-flows.blue"
    )


def test_notifications_to_no_topic_are_refused(tmp_path):
    with pytest.raises(RequestError, match="topics is empty"):
        load(tmp_path, BOARD + "[notifications]\ntransport_url = fake://\ntopics =\n")


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("127.0.0.1:9899", ("127.0.0.1", 9899)),
        ("[::1]:9899", ("::1", 9899)),
        ("controller-1:80", ("controller-1", 80)),
        ("", None),
        ("  ", None),
    ],
)
def test_an_address_has_a_host_and_a_port(text, result):
    assert settings.address(text) == result


@pytest.mark.parametrize("text", ["9899", "::1:9899", "host:", "host:99999", ":9899", "a b:1"])
def test_what_is_no_address_is_refused(text):
    with pytest.raises(RequestError, match="health_address"):
        settings.address(text)


def test_a_lifetime_below_five_seconds_is_refused(tmp_path):
    with pytest.raises(RequestError, match="greater than or equal to 5"):
        load(tmp_path, BOARD + "[conductor]\nttl_s = 1\n")


def test_files_that_everybody_can_read_are_found(tmp_path):
    mine, everybodys = tmp_path / "mine", tmp_path / "everybodys"
    for path, mode in ((mine, 0o640), (everybodys, 0o644)):
        path.touch()
        path.chmod(mode)
    names = [str(mine), str(everybodys), str(tmp_path / "missing")]
    assert settings.open_to_all(names) == [str(everybodys)]


@pytest.mark.parametrize(
    ("text", "result"),
    [
        ("redis://:opensesame@h:1/0 is away", "redis://:***@h:1/0 is away"),
        ("amqp://a:secret1@h,b:secret2@i/", "amqp://a:***@h,b:***@i/"),
        ("http://h:8774/v2.1 says no to a@b", "http://h:8774/v2.1 says no to a@b"),
        ("password=opensesame", "password=***"),
        ("nothing to hide: at 10:30", "nothing to hide: at 10:30"),
    ],
)
def test_what_looks_like_a_password_is_taken_out(text, result):
    assert logs.Scrubber()(text) == result


def test_the_passwords_of_the_configuration_are_taken_out_wherever_they_appear():
    scrub = logs.Scrubber(["redis://:pass%23word@h/0", "sqlite:////var/journal.db"])
    assert scrub("tried pass#word and pass%23word") == "tried *** and ***"
    assert scrub("sqlite:////var/journal.db") == "sqlite:////var/journal.db"


def test_a_url_that_cannot_be_understood_is_taken_out_as_a_whole():
    scrub = logs.Scrubber(["mysql+pymysql:uf:opensesame@db/uf"])
    assert scrub("'mysql+pymysql:uf:opensesame@db/uf' is none") == "'***' is none"


def test_tracebacks_go_to_stderr_without_passwords(tmp_path, capsys):
    path = tmp_path / "some.conf"
    path.write_text(BOARD)
    logs.set_up(settings.read([f"--config-file={path}"]), logs.Scrubber(["redis://:hunter22@b/0"]))
    try:
        raise ValueError("hunter22 was refused")
    except ValueError:
        logging.getLogger("upgrade_flows.x").exception("redis://u:other-one@h")
    said = capsys.readouterr().err
    assert "ValueError: *** was refused" in said
    assert "redis://u:***@h" in said
