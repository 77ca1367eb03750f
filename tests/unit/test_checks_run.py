"""Checks run together: none hides another, whatever it does."""

from __future__ import annotations

import threading
import time

import pytest

from tests.unit.check_samples import HIGH, LOW, MIDDLE, SOURCES, check, checks, finds
from upgrade_flows import checks as engine
from upgrade_flows.checks import Incomplete, NothingToLookAt, Sources, registry
from upgrade_flows.checks.base import Check, each
from upgrade_flows.checks.run import run
from upgrade_flows.errors import PluginError, RequestError


def raises(error):
    def fail(sources):
        raise error

    return fail


def outcome(results):
    return {one.name: (str(one.state), [f.subject for f in one.findings]) for one in results}


@pytest.mark.parametrize(
    "error", [RuntimeError("broken"), SystemExit(3), KeyError("x")], ids=lambda e: type(e).__name__
)
def test_a_check_that_fails_hides_nothing_of_the_others(error):
    bad = check(raises(error), MIDDLE)
    results = run({"bad": bad, "good": finds(HIGH.found("s1", "m"))}, SOURCES)
    assert outcome(results) == {"bad": ("failed", []), "good": ("done", ["s1"])}
    assert type(error).__name__ in results[0].why


def test_a_check_that_does_not_end_is_given_up_and_the_others_are_not():
    released = threading.Event()

    def hang(sources):
        released.wait(30)
        return [HIGH.found("late", "m")]

    begin = time.monotonic()
    slow = {f"slow{n}": check(hang, HIGH) for n in range(3)}
    results = run({**slow, "good": finds(HIGH.found("s1", "m"))}, SOURCES, None, 0.3, workers=2)
    released.set()
    assert time.monotonic() - begin < 10
    assert outcome(results)["good"] == ("done", ["s1"])
    assert [one.state for one in results].count("failed") == 3
    assert results[0].why == "it did not end within 0.3 s"


def test_what_an_incomplete_check_has_found_is_kept():
    bad = check(raises(Incomplete("cell2: no answer", [MIDDLE.found("cell1", "m")])), MIDDLE)
    (result,) = run({"bad": bad}, SOURCES)
    assert (result.state, result.why) == ("failed", "cell2: no answer")
    assert [one.subject for one in result.findings] == ["cell1"]


def test_a_finding_that_a_check_does_not_declare_makes_it_failed():
    (result,) = run({"odd": check(lambda s: [HIGH.found("s", "m")], MIDDLE)}, SOURCES)
    assert (result.state, result.findings) == ("failed", ())
    assert result.why == "it finds UF-TT-003, which it does not declare"


def test_checks_run_at_the_same_time_and_each_end_is_told():
    barrier, told = threading.Barrier(4, timeout=10), []

    def meet(sources):
        barrier.wait()
        return []

    together = {f"c{n}": check(meet, LOW) for n in range(4)}
    results = run(together, SOURCES, lambda result, n, of: told.append((result.name, n, of)))
    assert {one.state for one in results} == {"done"}
    assert [(n, of) for _, n, of in told] == [(1, 4), (2, 4), (3, 4), (4, 4)]
    assert [one.name for one in results] == ["c0", "c1", "c2", "c3"]


def test_the_worst_finding_comes_first():
    found = (
        LOW.found("a", "m"),
        HIGH.found("z", "m"),
        HIGH.found("b", "m"),
        MIDDLE.found("c", "m"),
    )
    (result,) = run({"all": finds(*found)}, SOURCES)
    assert [one.subject for one in result.findings] == ["b", "z", "c", "a"]


def test_a_place_that_fails_hides_no_other_place():
    def look(place):
        if place == "down":
            raise RuntimeError("down does not answer")
        if place == "none":
            raise NothingToLookAt("none is not there")
        return [LOW.found(place, "m")]

    with pytest.raises(Incomplete, match="down does not answer") as caught:
        each(["a", "down", "none", "b"], look)
    assert [one.subject for one in caught.value.findings] == ["a", "b"]
    assert [one.subject for one in each(["a", "none"], look)] == ["a"]
    with pytest.raises(NothingToLookAt):
        each(["none"], look)


def test_what_is_read_for_one_check_is_read_once_for_all():
    calls, sources = [], Sources()

    def read():
        calls.append(1)
        time.sleep(0.05)
        raise RuntimeError("no answer")

    both = {f"c{n}": check(lambda s: s.once("servers", read), LOW) for n in range(4)}
    results = run(both, sources)
    assert {one.why for one in results} == {"RuntimeError: no answer"}
    assert len(calls) == 1


@pytest.mark.parametrize(
    ("found", "code"),
    [
        ([], 0),
        ([LOW.found("s", "m")], 0),
        ([MIDDLE.found("s", "m"), LOW.found("s", "m")], 1),
        ([LOW.found("s", "m", severity="refused")], 2),
        ([HIGH.found("s", "m"), MIDDLE.found("s", "m")], 2),
    ],
    ids=["nothing", "info", "warning", "refused", "error"],
)
def test_the_exit_code_is_that_of_the_worst_finding(found, code):
    assert engine.gate(SOURCES, checks=checks(toy=finds(*found))).exit_code == code


def test_a_failed_check_outweighs_every_finding():
    both = checks(bad=check(raises(RuntimeError("x")), LOW), good=finds(HIGH.found("s", "m")))
    report = engine.gate(SOURCES, checks=both)
    assert (report.exit_code, len(report.findings)) == (255, 1)


def test_a_gate_that_had_nothing_to_look_at_is_not_green():
    nothing = check(raises(NothingToLookAt("no database")), LOW)
    assert engine.gate(SOURCES, checks=checks(a=nothing)).exit_code == 255
    assert engine.gate(SOURCES, checks=checks(a=nothing, b=finds())).exit_code == 0


def test_only_the_checks_of_the_areas_are_run():
    both = checks(a=finds(area="one"), b=finds(area="two"))
    report = engine.gate(SOURCES, ["two"], checks=both)
    assert ([one.name for one in report.results], report.areas) == (["b"], ("two",))
    with pytest.raises(RequestError, match="no checks of three; areas are one, two"):
        engine.gate(SOURCES, ["three"], checks=both)


class Whole(Check):
    area, title, rules = "toys", "toys", (LOW,)

    def run(self, sources):
        return []


def test_a_check_says_what_it_lacks():
    assert registry.complaints(Whole()) == []
    assert registry.complaints(finds(rules=())) == ["has no rules"]
    odd = registry.complaints(finds(rules=(engine.registry.Rule("DB1", "t", "bad", "w", "r"),)))
    assert odd == ["finds 'DB1', which is no id like UF-UP-002", "has a rule of severity 'bad'"]


def test_two_checks_of_one_id_are_refused(monkeypatch):
    found = {"a": Whole(), "b": Whole()}
    monkeypatch.setattr(registry.registry, "load_kind", lambda *args: found)
    with pytest.raises(PluginError, match="b and a both find UF-TT-001"):
        registry.load()


def test_all_that_is_installed_is_whole():
    known = registry.load()
    assert "upstream" in known.areas
    assert all(rule.why and rule.remedy and rule.title for rule in known.rules.values())
