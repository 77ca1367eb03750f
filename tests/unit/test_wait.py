"""The one polling loop."""

from __future__ import annotations

import pytest

from upgrade_flows import errors
from upgrade_flows.cloud import wait


class Clock:
    def __init__(self):
        self.now, self.pauses = 0.0, []

    def time(self):
        return self.now

    def monotonic(self):
        return self.now

    def sleep(self, seconds):
        self.pauses.append(seconds)
        self.now += seconds


def test_what_is_done_already_is_not_waited_for():
    clock = Clock()
    assert wait.until(clock, "it", lambda: 1, lambda seen: seen == 1) == 1
    assert clock.pauses == []


def test_the_pauses_grow_up_to_their_limit():
    clock = Clock()
    with pytest.raises(errors.TimedOut):
        wait.until(clock, "it", lambda: 0, bool, deadline_s=7, first_s=1, most_s=1.4)
    assert clock.pauses == [1, 1.125, 1.265625, 1.4, 1.4]


def test_the_message_of_a_timeout_holds_what_was_waited_for_and_what_was_seen():
    with pytest.raises(errors.TimedOut, match=r"server s1 to stop: not within 3 s.*ACTIVE"):
        wait.until(Clock(), "server s1 to stop", lambda: "ACTIVE", lambda _: False, deadline_s=3)


def test_a_state_that_cannot_get_better_ends_the_wait_at_once():
    clock = Clock()
    with pytest.raises(errors.StepFailed, match="waiting for it: it broke"):
        wait.until(clock, "it", lambda: 0, bool, lambda _: "it broke")
    assert clock.pauses == []


def test_a_service_that_restarts_is_waited_through():
    answers = iter([errors.Unavailable("503"), errors.Unavailable("reset"), "there"])

    def fetch():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert wait.until(Clock(), "it", fetch, bool) == "there"


def test_any_other_error_is_the_callers():
    def fetch():
        raise errors.Forbidden("no")

    with pytest.raises(errors.Forbidden):
        wait.until(Clock(), "it", fetch, bool)
