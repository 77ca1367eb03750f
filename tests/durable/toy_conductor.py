"""A conductor as a process of its own, for tests that kill and stop it: the toy capability's."""

from __future__ import annotations

import argparse
import logging
import signal
from pathlib import Path

from tests.durable.toy import SharedCloud, Stage
from upgrade_flows.engine import conductor
from upgrade_flows.engine.boards import open_board
from upgrade_flows.engine.store import Journal
from upgrade_flows.engine.worker import Tools
from upgrade_flows.flows import capability
from upgrade_flows.steps.base import Settings


def main() -> None:
    """Work until SIGTERM; say ``ready`` just before."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--journal", required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--board", required=True)
    parser.add_argument("--stage", type=Path, required=True, help="where deeds and orders are")
    parser.add_argument("--owner", required=True)
    parser.add_argument("--ttl", type=float, required=True)
    parser.add_argument("--jobs", type=int, required=True)
    parser.add_argument("--sweep", type=float, required=True)
    words = parser.parse_args()

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(threadName)s %(name)s %(levelname)s %(message)s"
    )
    capability.MODULES["toy"] = "tests.unit.engine_toy"
    conductor.SWEEP_S = words.sweep
    journal = Journal.open(words.journal, words.key)
    board = open_board(words.board, words.owner, words.ttl * conductor.CLAIM_SHARE)
    cloud = SharedCloud(Stage(words.stage), words.owner)
    tools = Tools(cloud, None, Settings(), journal.vault)
    one = conductor.Conductor(
        journal, board, tools, owner=words.owner, jobs=words.jobs, ttl_s=words.ttl
    )
    signal.signal(signal.SIGTERM, lambda *_: one.stop())
    print("ready", flush=True)
    one.run()
    board.close()
    journal.close()


if __name__ == "__main__":
    main()
