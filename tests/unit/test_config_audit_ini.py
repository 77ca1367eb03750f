"""Configuration files are read as oslo.config reads them, line by line."""

from __future__ import annotations

import random

import pytest
from oslo_config import cfg

from upgrade_flows.config_audit import inifile

LINES = (
    "[DEFAULT]", "[nova]", "[Nova]", "a = 1", "a=2", "b: x = y", "b =", "c = 'quoted'", 'c = "q',
    "d = one", "  two", "\tthree # no comment", "# comment", "; comment", "", "   ", "e = [x]",
    "url = http://a:80/", "é = ü", "f = \"\"", "g==h", "h : ", "i = a\r",
)  # fmt: skip

WRONG = ("no assignment", "= nothing", "[", "[]", "[open")


class Settings(dict):
    """What oslo.config's own parser finds."""

    def __init__(self, path):
        super().__init__()
        cfg.ConfigParser(str(path), self).parse()


def text_of(lines, rng):
    return "[first]\n" + "\n".join(lines) + rng.choice(("", "\n"))


@pytest.mark.parametrize("seed", range(200))
def test_what_is_read_is_what_oslo_config_reads(seed, tmp_path):
    rng = random.Random(seed)
    lines = [rng.choice(LINES) for _ in range(rng.randint(1, 14))]
    path = tmp_path / "service.conf"
    path.write_text(text_of(lines, rng), encoding="utf-8", newline="")
    document = inifile.parse("service.conf", path.read_bytes().decode())
    try:
        expected = Settings(path)
    except cfg.ParseError:
        assert document.problems
        return
    found = {}
    for setting in document.settings:
        found.setdefault(setting.group, {}).setdefault(setting.name, []).append(setting.value)
    assert document.problems == []
    assert found == {group: names for group, names in expected.items() if names}


@pytest.mark.parametrize("line", WRONG)
def test_a_line_that_oslo_config_refuses_is_a_problem_and_the_others_are_read(line, tmp_path):
    text = f"[DEFAULT]\na = 1\n{line}\nb = 2\n"
    path = tmp_path / "service.conf"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(cfg.ParseError):
        Settings(path)
    document = inifile.parse("service.conf", text)
    assert [number for number, _ in document.problems] == [3]
    assert [(one.name, one.line) for one in document.settings] == [("a", 2), ("b", 4)]


def test_a_line_before_the_first_section_is_a_problem():
    document = inifile.parse("service.conf", "a = 1\n[DEFAULT]\n")
    assert document.problems == [(1, "it stands before the first [section]")]


def test_a_value_of_several_lines_has_its_first_and_its_last_line():
    document = inifile.parse("x.conf", "[DEFAULT]\n\na = 1\n  2\n\t3\n# end\nb = 4\n")
    assert [(s.name, s.value, s.line, s.last) for s in document.settings] == [
        ("a", "1\n2\n3", 3, 5),
        ("b", "4", 7, 7),
    ]
    assert document.value(("DEFAULT", "a")) == "1\n2\n3"
