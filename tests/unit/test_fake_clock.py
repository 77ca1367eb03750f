"""The clocks of the fake cloud: one jumps, one lets several threads work side by side."""

import pickle
import threading

import pytest

from upgrade_flows.cloud.fake.clock import FakeClock
from upgrade_flows.cloud.fake.shared_clock import SharedClock


def test_alone_a_sleep_returns_at_once_and_moves_the_clock():
    clock = FakeClock(start=1000.0)
    clock.sleep(30)
    clock.sleep(-5)
    assert (clock.monotonic(), clock.time()) == (30.0, 1030.0)


def test_a_copy_of_a_clock_goes_its_own_way():
    clock = FakeClock()
    clock.sleep(3)
    copy = pickle.loads(pickle.dumps(clock))
    copy.sleep(4)
    assert (copy.monotonic(), clock.monotonic()) == (7, 3)


def sleeping(clock, seen):
    """Return what a thread does that notes when it wakes."""

    def work(name, *pauses):
        for pause in pauses:
            clock.sleep(pause)
            seen.append((clock.monotonic(), name))
        return name

    return work


def test_threads_wake_in_the_order_of_time():
    clock, seen = SharedClock(0.0), []
    work = sleeping(clock, seen)
    jobs = [clock.start(lambda: work("a", 3, 3)), clock.start(lambda: work("b", 1, 2, 4))]
    assert [job.result() for job in clock.wait(jobs, 100)] == ["a"]
    assert clock.monotonic() == 6
    assert clock.wait(jobs[1:], 0.5) == []
    assert clock.monotonic() == 6.5
    assert [job.result() for job in clock.wait(jobs[1:], 100)] == ["b"]
    assert seen == [(1, "b"), (3, "a"), (3, "b"), (6, "a"), (7, "b")]


def test_alone_a_shared_clock_jumps_too():
    clock = SharedClock()
    clock.sleep(30)
    assert clock.monotonic() == 30


def test_a_job_hands_over_its_error():
    clock = SharedClock()
    (job,) = clock.wait([clock.start(lambda: 1 / 0)], 10)
    assert isinstance(job.exception(), ZeroDivisionError)


def test_an_executor_is_left_when_all_of_its_threads_have_ended():
    clock, seen = SharedClock(), []
    with clock.threads() as threads:
        jobs = [threads.submit(sleeping(clock, seen), name, 4000) for name in "ab"]
    assert [job.result() for job in jobs] == ["a", "b"]
    assert (clock.monotonic(), seen) == (4000, [(4000, "a"), (4000, "b")])


def test_several_threads_may_wait_for_the_same_one():
    clock = SharedClock()
    job = clock.start(lambda: clock.sleep(5))

    def wait():
        clock.wait([job], 60)
        return clock.monotonic()

    with clock.threads() as threads:
        waiting = [threads.submit(wait) for _ in range(3)]
    assert [one.result() for one in waiting] == [5, 5, 5]


def test_a_thread_that_the_clock_did_not_start_cannot_sleep_by_it():
    clock, said = SharedClock(), []

    def stray():
        with pytest.raises(RuntimeError, match="has started") as caught:
            clock.sleep(1)
        said.append(caught)

    thread = threading.Thread(target=stray)
    thread.start()
    thread.join(10)
    assert said


def test_a_shared_clock_cannot_be_kept():
    with pytest.raises(TypeError, match="cannot be kept"):
        pickle.dumps(SharedClock())
