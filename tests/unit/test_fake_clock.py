"""The clock of the fake cloud: alone it jumps, together its threads wait for each other."""

from __future__ import annotations

import pickle
import threading

from upgrade_flows.cloud.fake.clock import FakeClock


def together(clock, **naps):
    """Let threads sleep as often and as long as said; return who woke when, in that order."""
    woken = []

    def live(name, lengths):
        clock.join(name)
        for length in lengths:
            clock.sleep(length)
            woken.append((clock.monotonic(), name))
        clock.leave()

    threads = [threading.Thread(target=live, args=item) for item in naps.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    return woken


def test_alone_a_sleep_returns_at_once_and_moves_the_clock():
    clock = FakeClock(start=1000.0)
    clock.sleep(30)
    clock.sleep(-5)
    assert (clock.monotonic(), clock.time()) == (30.0, 1030.0)


def test_threads_that_joined_wake_in_the_order_of_their_moments():
    assert together(FakeClock(), a=[10, 10, 10], b=[4, 20]) == [
        (4, "b"),
        (10, "a"),
        (20, "a"),
        (24, "b"),
        (30, "a"),
    ]


def test_those_of_the_same_moment_wake_by_their_names():
    assert together(FakeClock(), c=[5, 5], a=[5, 5], b=[10]) == [
        (5, "a"),
        (5, "c"),
        (10, "a"),
        (10, "b"),
        (10, "c"),
    ]


def test_time_goes_on_without_a_thread_that_ended_and_did_not_leave():
    clock = FakeClock()
    lost = threading.Thread(target=clock.join, args=("lost",))
    lost.start()
    lost.join()
    clock.join("me")
    clock.sleep(7)
    assert clock.monotonic() == 7
    clock.leave()


def test_a_copy_of_a_clock_that_is_shared_belongs_to_nobody():
    clock = FakeClock()
    clock.join("me")
    clock.sleep(3)
    copy = pickle.loads(pickle.dumps(clock))
    copy.sleep(4)
    assert (copy.monotonic(), clock.monotonic()) == (7, 3)
