"""The numbers, and that there are never more of them than there should be."""

import math

from prometheus_client import generate_latest
from prometheus_client.parser import text_string_to_metric_families

from tests.unit.service_fakes import Conductor
from upgrade_flows.engine.conductor import InHand
from upgrade_flows.engine.records import Event
from upgrade_flows.service.metrics import Metrics


def values(metrics):
    text = generate_latest(metrics.registry).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if not sample.name.endswith("_created")
    }


def step(what, time, name="StopServer", subject="web-1"):
    return Event(time, subject, name, what)


def test_a_step_is_counted_and_timed_from_its_beginning_to_its_end():
    metrics = Metrics("one", "1.0")
    metrics.observe("run-1", step("started", 100.0))
    metrics.observe("run-1", step("finished", 107.5))
    found = values(metrics)
    assert found["upgrade_flows_steps_total", "started"] == 1
    assert found["upgrade_flows_steps_total", "finished"] == 1
    assert found["upgrade_flows_step_seconds_sum", "finished"] == 7.5
    assert found["upgrade_flows_step_seconds_bucket", "3.0", "finished"] == 0
    assert found["upgrade_flows_step_seconds_bucket", "10.0", "finished"] == 1


def test_the_undo_of_a_step_is_timed_by_itself():
    metrics = Metrics("one", "1.0")
    for what, time in (("started", 0), ("failed", 2), ("reverting", 10), ("reverted", 13)):
        metrics.observe("run-1", step(what, float(time)))
    found = values(metrics)
    assert found["upgrade_flows_step_seconds_sum", "failed"] == 2
    assert found["upgrade_flows_step_seconds_sum", "reverted"] == 3


def test_steps_of_different_instances_and_runs_are_not_mixed_up():
    metrics = Metrics("one", "1.0")
    metrics.observe("run-1", step("started", 0.0))
    metrics.observe("run-2", step("started", 5.0))
    metrics.observe("run-2", step("finished", 6.0))
    assert values(metrics)["upgrade_flows_step_seconds_sum", "finished"] == 1


def test_a_step_that_another_process_began_is_counted_but_not_timed():
    metrics = Metrics("one", "1.0")
    metrics.observe("run-1", step("finished", 6.0))
    found = values(metrics)
    assert found["upgrade_flows_steps_total", "finished"] == 1
    assert found["upgrade_flows_step_seconds_count", "finished"] == 0


def test_what_began_is_forgotten_with_its_instance():
    metrics = Metrics("one", "1.0")
    metrics.observe("run-1", step("started", 0.0))
    metrics.observe("run-1", Event(1.0, "web-1", "", "parked"))
    assert metrics._begun == {}


def test_states_of_instances_and_runs_are_counted_apart():
    metrics = Metrics("one", "1.0")
    metrics.observe("run-1", Event(1.0, "web-1", "", "changed"))
    metrics.observe("run-1", Event(2.0, "", "", "changed"))
    metrics.observe("run-1", Event(3.0, "", "", "halted"))
    found = values(metrics)
    assert found["upgrade_flows_subjects_total", "changed"] == 1
    assert found["upgrade_flows_runs_total", "changed"] == 1
    assert found["upgrade_flows_runs_total", "halted"] == 1


def test_every_value_of_a_label_is_there_from_the_beginning_and_no_other_appears():
    metrics = Metrics("one", "1.0")
    before = set(values(metrics))
    assert ("upgrade_flows_subjects_total", "quarantined") in before
    for index in range(50):
        metrics.observe("run-1", Event(1.0, f"server-{index}", f"step-{index}", f"what-{index}"))
        metrics.observe("run-1", Event(1.0, f"server-{index}", "", f"state-{index}"))
        metrics.notification(f"result-{index}")
    assert set(values(metrics)) == before
    assert values(metrics)["upgrade_flows_subjects_total", "other"] == 50


def test_the_gauges_are_the_conductors_own_words():
    metrics = Metrics("one", "1.0")
    job = InHand("run-1", "web-1", "change", 0.0)
    conductor = Conductor(jobs=(job, job), ages=(1.5, math.inf))
    metrics.watch(conductor.status)
    found = values(metrics)
    assert found["upgrade_flows_jobs_in_progress",] == 2
    assert found["upgrade_flows_jobs_capacity",] == 10
    assert found["upgrade_flows_journal_age_seconds",] == 1.5
    assert found["upgrade_flows_board_age_seconds",] == math.inf
    assert found["upgrade_flows_stopping",] == 0


def test_there_are_no_gauges_before_there_is_a_conductor():
    metrics = Metrics("one", "1.0")
    metrics.watch(lambda: None)
    assert ("upgrade_flows_jobs_capacity",) not in values(metrics)


def test_the_build_says_what_runs_here():
    assert any(
        name == "upgrade_flows_build_info" and {"one", "1.0"} <= set(labels)
        for name, *labels in values(Metrics("one", "1.0"))
    )
