"""What is told to the message bus, and that nobody ever waits for it."""

import socket
import sys
import threading
import time

import pytest

from upgrade_flows.engine.records import Event
from upgrade_flows.errors import PluginError, RequestError
from upgrade_flows.service import notifications, settings
from upgrade_flows.service.notifications import Notifications, Undelivered
from upgrade_flows.service.settings import Bus

CHANGED = Event(12.5, "web-1", "", "changed", "as planned", "me")


class Sent(list):
    def __call__(self, *message):
        self.append(message)


def test_states_are_told_with_their_circumstances():
    sent, counted = Sent(), []
    with Notifications(sent, counted.append) as told:
        told.observe("run-1", CHANGED)
        told.observe("run-1", Event(13.0, "", "", "changed"))
    payload = {"version": 1, "run_id": "run-1", "state": "changed"}
    assert sent == [
        ("info", "subject.changed",
         {**payload, "subject": "web-1", "detail": "as planned", "time": 12.5, "owner": "me"}),
        ("info", "run.changed",
         {**payload, "subject": "", "detail": "", "time": 13.0, "owner": ""}),
    ]  # fmt: skip
    assert counted == ["sent", "sent"]


def test_steps_are_not_told():
    sent = Sent()
    with Notifications(sent, lambda result: None) as told:
        told.observe("run-1", Event(1.0, "web-1", "StopServer", "failed"))
    assert sent == []


@pytest.mark.parametrize(
    ("subject", "state"),
    [("web-1", "failed"), ("web-1", "residue"), ("web-1", "quarantined"), ("", "halted")],
)
def test_what_somebody_has_to_look_at_is_an_error(subject, state):
    sent = Sent()
    with Notifications(sent, lambda result: None) as told:
        told.observe("run-1", Event(1.0, subject, "", state))
    assert sent[0][0] == "error"


def test_passwords_are_not_told():
    sent = Sent()
    with Notifications(sent, lambda result: None, lambda text: text.replace("pw", "*")) as told:
        told.observe("run-1", Event(1.0, "web-1", "", "failed", "pw refused"))
    assert sent[0][2]["detail"] == "* refused"


def test_a_dead_bus_delays_nobody_and_what_it_misses_is_counted(monkeypatch):
    monkeypatch.setattr(notifications, "FAREWELL_S", 0.1)
    dead, counted = threading.Event(), []
    with Notifications(lambda *message: dead.wait(60), counted.append, waiting=3) as told:
        began = time.monotonic()
        for _ in range(100):
            told.observe("run-1", CHANGED)
        assert time.monotonic() - began < 1
        assert 96 <= counted.count("dropped") <= 97  # one may be on its way
    assert time.monotonic() - began < 5
    dead.set()


def test_a_message_that_cannot_be_sent_is_counted_and_the_next_one_is_sent():
    counted, sent = [], []

    def send(priority, event_type, payload):
        if event_type == "subject.failed":
            raise ValueError("no")
        sent.append(event_type)

    with Notifications(send, counted.append) as told:
        told.observe("run-1", Event(1.0, "web-1", "", "failed"))
        told.observe("run-1", CHANGED)
    assert (counted, sent) == (["failed", "sent"], ["subject.changed"])


def test_a_message_waits_for_a_bus_that_is_away_and_keeps_its_place(monkeypatch, caplog):
    monkeypatch.setattr(notifications, "PAUSE_S", (0.01, 0.02))
    caplog.set_level("INFO")
    answers, sent, counted = [Undelivered("connection refused")] * 3, [], []

    def send(priority, event_type, payload):
        if answers:
            raise answers.pop()
        sent.append(event_type)

    with Notifications(send, counted.append) as told:
        told.observe("run-1", Event(1.0, "web-1", "", "failed"))
        told.observe("run-1", CHANGED)
        until = time.monotonic() + 10
        while len(sent) < 2 and time.monotonic() < until:
            time.sleep(0.01)
    assert (sent, counted) == (["subject.failed", "subject.changed"], ["sent", "sent"])
    assert [record.getMessage() for record in caplog.records] == [
        "the message bus does not answer, trying again: connection refused",
        "the message bus answers again",
    ]


def test_a_bus_that_stays_away_does_not_keep_the_process_from_ending(caplog):
    counted = []

    def send(*message):
        raise Undelivered("connection refused")

    began = time.monotonic()
    with Notifications(send, counted.append) as told:
        for _ in range(3):
            told.observe("run-1", CHANGED)
        time.sleep(0.1)
    assert time.monotonic() - began < 4
    assert counted == ["failed"] * 3
    assert caplog.messages == [
        "the message bus does not answer, trying again: connection refused",
        "3 notifications were not sent: the message bus does not answer",
    ]


def test_a_real_bus_that_is_away_is_noticed(tmp_path, caplog):
    pytest.importorskip("oslo_messaging")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    bus = Bus(f"rabbit://uf:swordfish@127.0.0.1:{port}/", ("one",), "me")
    send = notifications.connect(conf_of(tmp_path), bus)
    with pytest.raises(Undelivered, match="refused"):
        send("info", "run.changed", {})
    assert "Traceback" not in caplog.text
    assert "swordfish" not in caplog.text


def conf_of(tmp_path):
    path = tmp_path / "some.conf"
    path.touch()
    return settings.read([f"--config-file={path}"])


def test_oslo_messaging_delivers_to_every_topic(tmp_path):
    oslo_messaging = pytest.importorskip("oslo_messaging")
    conf = conf_of(tmp_path)
    bus = Bus("fake://", ("one", "two"), "upgrade-flows.blue")
    heard, both = [], threading.Event()

    class Endpoint:
        def info(self, context, publisher, event_type, payload, metadata):
            heard.append((publisher, event_type, payload["state"]))
            if len(heard) == 2:
                both.set()

    transport = oslo_messaging.get_notification_transport(conf, url=bus.url)
    targets = [oslo_messaging.Target(topic=topic) for topic in bus.topics]
    listener = oslo_messaging.get_notification_listener(
        transport, targets, [Endpoint()], executor="threading"
    )
    listener.start()
    try:
        with Notifications(notifications.connect(conf, bus), lambda result: None) as told:
            told.observe("run-1", CHANGED)
            assert both.wait(10)
    finally:
        listener.stop()
        listener.wait()
    assert heard == [("upgrade-flows.blue", "subject.changed", "changed")] * 2


def test_a_url_that_is_none_is_refused_without_being_shown(tmp_path):
    pytest.importorskip("oslo_messaging")
    bus = Bus("rabbit://uf:swordfish@bus:port/", ("one",), "me")
    with pytest.raises(RequestError, match="transport_url is not the URL") as raised:
        notifications.connect(conf_of(tmp_path), bus)
    assert "swordfish" not in str(raised.value)


def test_a_kind_of_bus_that_does_not_exist_is_refused_by_its_name(tmp_path):
    pytest.importorskip("oslo_messaging")
    with pytest.raises(PluginError, match="cannot load 'pigeon'"):
        notifications.connect(conf_of(tmp_path), Bus("pigeon://uf:pw@roof", ("one",), "me"))


def test_without_oslo_messaging_it_is_said_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "oslo_messaging", None)
    with pytest.raises(PluginError, match=r"install upgrade-flows\[notifications\]"):
        notifications.connect(conf_of(tmp_path), Bus("fake://", ("one",), "me"))
