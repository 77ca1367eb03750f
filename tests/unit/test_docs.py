"""What the manual says is so: commands parse, examples run, nothing is left undocumented."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from upgrade_flows import errors
from upgrade_flows.cli.app import UpgradeFlows
from upgrade_flows.flows.recreate import rules
from upgrade_flows.model.report import State

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "doc" / "source"
PAGES = [ROOT / "README.rst", *sorted(SOURCE.rglob("*.rst"))]

MARK = ".. runs on the cloud in memory"

#: in front of each example: a cloud with something to do takes the place of the real one
BEFORE = """
from upgrade_flows import library
from upgrade_flows.cloud.fake import FakeCloud

memory = FakeCloud(hosts=("compute-1", "compute-2"), mode="dpdkvhostuser")
memory.add_server("web", host="compute-1", nics=2, floating_ip=True)
memory.add_server("db", host="compute-1", boot_volume=True, data_volumes=1)
memory.set_mode("compute-1", "dpdkvhostuserclient")
library.connect = lambda *args, **kwargs: memory
"""


def text_of(page):
    return page.read_text(encoding="utf-8")


def blocks(text, opening):
    """Return the indented blocks that follow a line, without their indentation."""
    pattern = re.escape(opening) + r"\n(?:[ \t]*:[^\n]*\n)*\n((?:[ \t]+[^\n]*\n|\n)+)"
    return [textwrap.dedent(match).strip("\n") for match in re.findall(pattern, text)]


def examples():
    for page in PAGES:
        opening = f"{MARK}\n\n.. code-block:: python"
        for index, block in enumerate(blocks(text_of(page), opening)):
            yield pytest.param(block, id=f"{page.relative_to(ROOT)}-{index}")


def commands():
    """Yield every upgrade-flows command line that a page shows."""
    for page in PAGES:
        for line in text_of(page).splitlines():
            found = re.match(r"\s+[$#] (upgrade-flows .*)$", line)
            if found:
                yield pytest.param(found[1], id=f"{page.stem}: {found[1]}")
        for said in re.findall(r"``(upgrade-flows [a-z][^`]*)``", text_of(page)):
            yield pytest.param(said, id=f"{page.stem}: {said}")


@pytest.mark.parametrize("example", examples())
def test_an_example_runs_on_the_cloud_in_memory(example, tmp_path):
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", f"{BEFORE}\n{example}\n"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_readmes_example_changes_every_instance_and_commits_it(tmp_path):
    (example,) = blocks(text_of(ROOT / "README.rst"), f"{MARK}\n\n.. code-block:: python")
    assert len([line for line in example.splitlines() if line]) <= 10
    environment = {**os.environ, "XDG_STATE_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", f"{BEFORE}\n{example}\nprint(report.state)"],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    lines = done.stdout.splitlines()
    planned = sorted(line.rpartition(" ")[0] for line in lines[:2])
    assert planned == ["db rebind", "web rebind"]
    assert lines[2:] == ["changed ()", "settled"]


@pytest.mark.parametrize("line", commands())
def test_a_command_that_the_manual_shows_is_understood(line, tmp_path, capsys):
    words = shlex.split(line, comments=True)[1:]
    if ">" in words:
        words = words[: words.index(">")]
    application = UpgradeFlows()
    try:
        _, rest = application.parser.parse_known_args(words)
        if not rest or rest[0] == "complete":
            return
        factory, name, arguments = application.command_manager.find_command(rest)
        if arguments or name != "run":  # the bare name of a command, in running text
            factory(application, None).get_parser(name).parse_args(arguments)
    except SystemExit as exit_:
        if exit_.code:
            pytest.fail(f"{line}: {capsys.readouterr().err}")


def test_every_finding_of_the_code_is_in_the_reference_and_no_other():
    code = {
        number
        for path in (ROOT / "upgrade_flows").rglob("*.py")
        for number in re.findall(r"UF-[A-Z]+-\d{3}", path.read_text(encoding="utf-8"))
    }
    documented = set(
        re.findall(r"^   \* - (UF-[A-Z]+-\d{3})$", text_of(SOURCE / "reference/findings.rst"), re.M)
    )
    assert documented == code
    assert {number for number, _, _ in rules.BLOCKERS} <= documented


def test_every_error_is_in_the_reference_beside_its_exit_code():
    table = text_of(SOURCE / "reference/errors.rst").partition("list-table::")[2]
    codes = {}
    for row in re.split(r"^   \* - ", table, flags=re.M)[2:]:
        code, _, names = row.partition("\n     -")
        for name in re.findall(r"[A-Z][A-Za-z]+", names.partition("\n     -")[0]):
            codes[name] = int(code)
    kinds = [
        kind
        for kind in vars(errors).values()
        if isinstance(kind, type) and issubclass(kind, errors.UpgradeFlowsError)
    ]
    expected = {kind.__name__: kind.exit_code for kind in kinds}
    del expected["UpgradeFlowsError"]
    assert codes == expected


def test_every_strategy_and_every_state_is_in_the_operators_guide():
    guide = text_of(SOURCE / "operator/recreate.rst")
    for strategy in rules.STRATEGIES:
        assert f"\n   ``{strategy.name}``\n" in guide
    transient = {State.UNDOING, State.SETTLING}
    assert [state for state in set(State) - transient if f"``{state}``" not in guide] == []


def test_every_command_is_shown_somewhere():
    shown = " ".join(text_of(page) for page in PAGES)
    known = [name for name, _ in UpgradeFlows().command_manager]
    ours = [name for name in known if name not in ("help", "complete")]
    assert len(ours) >= 13
    assert [name for name in ours if f"upgrade-flows {name}" not in shown] == []


def test_every_page_is_reached_from_the_index():
    reached, waiting = set(), [SOURCE / "index.rst"]
    while waiting:
        page = waiting.pop()
        reached.add(page)
        for tree in blocks(text_of(page), ".. toctree::"):
            waiting += [(page.parent / name).with_suffix(".rst") for name in tree.split()]
    assert reached == set(SOURCE.rglob("*.rst"))


def test_the_links_of_the_readme_lead_somewhere():
    links = re.findall(r"`[^`<]+ <([^>]+)>`_", text_of(ROOT / "README.rst").replace("\n", " "))
    assert len(links) >= 8
    assert [link for link in links if not (ROOT / link).exists()] == []
