"""``live_update`` with ``criu``: the process itself moves, with its memory and its connection.

A client keeps one TCP connection through the change and the way back.  The server counts in its
memory only, and sends a number every 20 ms: none of them may be missing.
"""

from __future__ import annotations

import itertools
import queue
import socket
import threading
import time

import pytest

from tests.functional import live, whole
from tests.functional.instances import changes, truth
from tests.lab import waiting
from upgrade_flows.model.report import State

PORT = 7000
CRIU = {
    "command_pattern": "^/data/session/session ",
    "images": "/data/images",
    "mount": {"0": "/data"},
}


class Client:
    """One connection to the server, for good."""

    def __init__(self, address):
        self.socket = socket.create_connection((address, PORT), 5)
        self.socket.settimeout(0.5)
        self.ticks, self.arrived, self.error = [], [], None
        self._answers, self._closed = queue.Queue(), False
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def ask(self, word, seconds=180):
        """Say a word, and return the words of the answer."""
        self.socket.sendall(f"{word}\n".encode())
        return self._answers.get(timeout=seconds)

    def close(self):
        self._closed = True
        self._thread.join(5)
        self.socket.close()

    @property
    def longest(self):
        """The longest time without a number, in seconds."""
        return max(after - before for before, after in itertools.pairwise(self.arrived))

    def _listen(self):
        rest = b""
        while not self._closed:
            try:
                data = self.socket.recv(65536)
            except TimeoutError:
                continue
            except OSError as exc:
                self.error = exc
                return
            if not data:
                self.error = EOFError("the server has closed the connection")
                return
            *lines, rest = (rest + data).split(b"\n")
            for kind, *words in (line.decode().split() for line in lines):
                if kind == "tick":
                    self.ticks.append(int(words[0]))
                    self.arrived.append(time.monotonic())
                else:
                    self._answers.put(words)


class Story:
    """One guest and one client: there, and back."""


def answers(address):
    try:
        socket.create_connection((address, PORT), 1).close()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def story(updates):
    story = Story()
    (story.guest,) = live.make(live.Wish("criu", 106, metadata={"workload": "criu"}))
    waiting.until("the server answers", lambda: answers(story.guest.address), 180)
    story.first, story.cloud = truth(story.guest.id), whole.listing()
    story.client = Client(story.guest.address)
    story.counted = [story.client.ask("inc") for _ in range(3)]
    story.was = story.client.ask("who")

    plan = updates.plan(
        story.guest, workload="criu", settings=CRIU, probes=[{"tcp": PORT}], grace_s=0
    )
    story.run_id = updates.run(plan)
    story.result = updates.result(story.run_id, story.guest)
    story.counted.append(story.client.ask("inc"))
    story.now = story.client.ask("who")
    story.gap = story.client.longest
    yield story
    story.client.close()


def test_the_connection_is_still_the_same_one_and_nothing_that_was_sent_is_lost(story):
    assert story.client.error is None
    ticks = list(story.client.ticks)
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))
    print(f"longest silence {story.gap:.2f} s; {story.result['moved']}")


def test_the_counter_in_memory_goes_on(story):
    assert story.counted == [["1"], ["2"], ["3"], ["4"]]


def test_it_is_the_same_process_with_the_same_memory_under_the_new_kernel(story):
    (pid, old, memory), (pid_now, new, memory_now) = story.was, story.now
    assert (pid_now, memory_now) == (pid, memory)
    assert old.startswith(live.OLD_KERNEL)
    assert new.startswith(live.NEW_KERNEL)


def test_the_original_is_frozen_and_has_no_port(story):
    original = truth(story.guest.id)
    assert (original["server"]["status"], original["ports"]) == ("PAUSED", {})


@pytest.fixture(scope="module")
def rolled_back(updates, story):
    updates.engine().rollback(story.run_id)
    return updates.journal.subject(story.run_id, story.guest.id)


def test_rollback_brings_the_process_back_with_all_that_it_has_done_since(story, rolled_back):
    assert (rolled_back.state, rolled_back.residue) == (State.UNDONE, ())
    assert story.client.ask("inc") == ["5"]
    assert story.client.ask("who") == story.was
    assert story.client.error is None
    ticks = list(story.client.ticks)
    assert ticks == list(range(ticks[0], ticks[0] + len(ticks)))


def test_after_rollback_the_cloud_is_what_it_was(story, rolled_back):
    assert changes(story.first, truth(story.guest.id)) == {}
    assert whole.difference(story.cloud, whole.listing()) == {}
