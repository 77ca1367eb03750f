"""The steps of every strategy, and their order, are those that the manual shows."""

from __future__ import annotations

import pytest

from tests.flows.outlines import CAPTURE, FOLDER, HOST, LIVE, OUTLINED, outline
from upgrade_flows.flows.recreate.flow import BUILDERS


@pytest.mark.parametrize("case", [*OUTLINED, HOST, *LIVE, *CAPTURE])
def test_the_steps_and_their_order_are_the_recorded_ones(case):
    assert outline(case) == (FOLDER / f"{case}.txt").read_text(encoding="utf-8")


def test_every_strategy_has_a_recorded_outline():
    assert set(BUILDERS) == set(OUTLINED)
    assert {path.stem for path in FOLDER.glob("*.txt")} == {
        *OUTLINED,
        HOST,
        *LIVE,
        *CAPTURE,
    }
