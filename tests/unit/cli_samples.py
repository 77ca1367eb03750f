"""A plan, what became of it, and stand-ins for the parts of the library that the CLI drives."""

from __future__ import annotations

import dataclasses
import io
from types import SimpleNamespace

from cliff.commandmanager import CommandManager

from upgrade_flows.cli import (
    capture,
    check,
    config,
    gc,
    hosts,
    inventory,
    journal,
    live_update,
    plan,
    run,
    simulate,
    skip,
    status,
    submitted,
)
from upgrade_flows.cli.app import UpgradeFlows
from upgrade_flows.cli.main import main
from upgrade_flows.cli.wiring import Wiring
from upgrade_flows.model.inventory import Inventory, Server
from upgrade_flows.model.plan import Action, Gate, Plan, Prediction, Wave
from upgrade_flows.model.report import Finding, Residue, State, StepRecord
from upgrade_flows.model.request import Rollout, Scope, Target, UpgradeRequest

#: what setup.cfg declares in the group ``upgrade_flows.cli``
COMMANDS = {
    "inventory": inventory.Inventory,
    "check": check.Check,
    "check vif-mode": check.VifMode,
    "plan recreate": plan.Recreate,
    "plan hosts": hosts.Hosts,
    "plan live-update": live_update.LiveUpdate,
    "plan show": plan.Show,
    "plan diff": plan.Diff,
    "plan runbook": plan.Runbook,
    "capture": capture.Capture,
    "config audit": config.Audit,
    "config metadata": config.Metadata,
    "gc": gc.Gc,
    "simulate": simulate.Simulate,
    "run": run.Run,
    "submit": submitted.Submit,
    "watch": submitted.Watch,
    "pause": submitted.Pause,
    "resume": run.Resume,
    "skip": skip.Skip,
    "rollback": run.Rollback,
    "commit": run.Commit,
    "status": status.Status,
    "report": status.Report,
    "purge": status.Purge,
    "journal upgrade": journal.Upgrade,
}

CLOUD = "http://keystone.example/v3 RegionOne"
WEB_1, WEB_2, DB_1 = (f"{n}0000000-0000-4000-8000-000000000000" for n in "123")


def action(subject, name, strategy, because=(), status="ACTIVE", volumes=(), downtime=9.0):
    return Action(
        capability="recreate",
        subject=subject,
        name=name,
        strategy=strategy,
        because=because,
        declares=("vif_modes",),
        details={
            "host": "compute-1",
            "target_host": "compute-3",
            "status": status,
            "project_id": "tenant-a",
            "flavor_id": "small",
            "key_name": "",
            "storage": "local",
            "volumes": list(volumes),
            "ports": [
                {
                    "id": f"port-of-{name}",
                    "bound": "dpdkvhostuser",
                    "wanted": "dpdkvhostuserclient",
                    "plugin": "ovs-dpdk",
                }
            ],
            "seen": {},
        },
        prediction=Prediction(downtime_s=downtime, duration_s=downtime + 3),
    )


PLAN = Plan(
    id="plan-1",
    created="2026-11-20T12:00:00Z",
    cloud_id=CLOUD,
    request=UpgradeRequest(
        capability="recreate",
        scope=Scope(hosts=("compute-1",)),
        target=Target(strategy="auto", hosts=("compute-3",)),
        rollout=Rollout(at_a_time=2, canaries=1),
    ),
    waves=(
        Wave("canary", (action(WEB_1, "web-1", "rebind"),), canary=True),
        Wave(
            "wave-1",
            (
                action(
                    WEB_2,
                    "web-2",
                    "cold-migrate",
                    ("not rebind: hybrid plug leaves devices behind on compute-1",),
                    downtime=40,
                ),
                action(
                    DB_1,
                    "db[red]-1",
                    "snapshot",
                    ("not rebind: asked otherwise", "not recreate: its root disk is local"),
                    volumes=("volume-1",),
                    downtime=95,
                ),
            ),
            at_a_time=2,
            gate=Gate(max_failures=1),
        ),
    ),
    findings=(
        Finding(
            "UF-RC-004",
            "40000000-0000-4000-8000-000000000000",
            "refused",
            "lb-1: it belongs to Octavia",
            "let Octavia fail it over",
        ),
    ),
    unchanged=("50000000-0000-4000-8000-000000000000",),
).sealed()


@dataclasses.dataclass
class FakeRun:
    id: str
    plan: Plan = PLAN
    state: str = "changed"
    created: float = 1_795_176_000.0
    ended: float | None = 1_795_176_130.0
    withdrawn: bool = False
    submitted: bool = False
    moves: str = "all"
    capability: str = "recreate"
    size: int = 3


def subject(state, started=1_795_176_000.0, ended=1_795_176_012.0, **more):
    given = {"error": "", "residue": (), "result": {}} | more
    return SimpleNamespace(state=state, started=started, ended=ended, **given)


ALL_WELL = {
    WEB_1: subject(
        State.CHANGED,
        result={
            "measured_downtime_s": 7.25,
            "identity_difference": {
                "vif_modes[port-of-web-1]": ["dpdkvhostuser", "dpdkvhostuserclient"]
            },
            "undeclared": [],
        },
    ),
    WEB_2: subject(State.CHANGED, 1_795_176_012.0, 1_795_176_055.0),
    DB_1: subject(State.CHANGED, 1_795_176_012.0, 1_795_176_110.0),
}

MIXED = ALL_WELL | {
    WEB_2: subject(
        State.FAILED,
        1_795_176_012.0,
        1_795_176_055.0,
        error="compute-3 has no room",
        result={"identity_difference": {"name": ["web-2", "w2"]}, "undeclared": ["name"]},
    ),
    DB_1: subject(
        State.RESIDUE,
        1_795_176_012.0,
        1_795_176_110.0,
        error="the image is not active",
        residue=(
            Residue(f"stop-server:{DB_1}", f"Compute.start('{DB_1}')", "503 Service Unavailable"),
            Residue("snapshot-server:x", "FakeImages.delete('image-1')", "403 Forbidden"),
        ),
    ),
}

STEPS = {
    WEB_1: (
        StepRecord(f"stop-server:{WEB_1}", "SUCCESS", 1_795_176_000.0, 1_795_176_003.0),
        StepRecord("rebind-port:port-of-web-1", "SUCCESS", 1_795_176_003.0, 1_795_176_004.0),
        StepRecord(f"start-server:{WEB_1}", "PENDING"),
    ),
    DB_1: (
        StepRecord(
            f"stop-server:{DB_1}", "REVERT_FAILURE", 1_795_176_012.0, 1_795_176_100.0, "503"
        ),
    ),
}


class FakeJournal:
    def __init__(self, subjects=None, state="changed", runs=None):
        self.held = dict(ALL_WELL if subjects is None else subjects)
        self.rows = [FakeRun("20261120-aaaaaa", state=state)] if runs is None else runs

    def runs(self):
        return tuple(self.rows)

    def run(self, run_id):
        return next(row for row in self.rows if row.id == run_id)

    def subjects(self, run_id):
        return self.held

    def steps(self, run_id, subject):
        return STEPS.get(subject, ())

    def holders(self, run_id):
        return {}

    def purge(self, before):
        return tuple(row.id for row in self.rows if row.ended < before)


class FakeEngine:
    """Notes what it is asked for, and tells its observer what it is told to tell."""

    def __init__(self, observer, events):
        self.calls, self.observer, self.events = [], observer, events

    def start(self, plan):
        self.calls.append(("start", plan.id))
        return "20261120-aaaaaa"

    def __getattr__(self, verb):
        def call(*arguments):
            self.calls.append((verb, *arguments))
            for event in self.events:
                self.observer(event)

        return call


SERVERS = (
    Server(WEB_2, "web-2", "SHUTOFF", host="compute-1"),
    Server(WEB_1, "web-1", "ACTIVE", host="compute-1"),
)
ROWS = [
    SimpleNamespace(
        server_id=WEB_1, server_name="web-1", host="compute-1", port_id="port-of-web-1",
        bound="dpdkvhostuser", wanted="dpdkvhostuserclient", needs_change=True,
        why="bound before the host's agent changed",
    ),
]  # fmt: skip


class FakeWiring(Wiring):
    plugins = None

    def __init__(self, journal=None, made=PLAN, events=(), cloud_id=CLOUD, raises=None):
        self.the_journal, self.made, self.events = journal or FakeJournal(), made, events
        self.cloud_id, self.raises = cloud_id, raises
        self.connected = self.scope = self.request = self.the_engine = self.url = None

    def connect(self, name, region):
        if self.raises:
            raise self.raises
        self.connected = (name, region)
        return SimpleNamespace(id=self.cloud_id, check_credentials=lambda: None)

    def collect(self, cloud, scope, progress):
        self.scope = getattr(scope, "scope", scope)  # it may be a request
        progress("servers", 2)
        return Inventory(CLOUD, "now", servers=SERVERS)

    def select(self, inventory, scope):
        return inventory.servers

    def vif_rows(self, inventory, servers):
        return ROWS

    def make_plan(self, request, inventory, progress):
        self.request = request
        return self.made

    def journal(self, url, key_file=None):
        self.url = url
        return self.the_journal

    def engine(self, journal, cloud, settings, observer, steps_at_a_time):
        self.the_engine = FakeEngine(observer, self.events)
        self.the_engine.settings = settings
        return self.the_engine


class Terminal(io.StringIO):
    def isatty(self):
        return True


def cli(*argv, wiring=None, stdin=None, stdout=None, stderr=None):
    """Run a command; return its exit code, what it printed and what it complained of."""
    commands = CommandManager(None)
    for name, command in COMMANDS.items():
        commands.add_command(name, command)
    stdout, stderr = stdout or io.StringIO(), stderr or io.StringIO()
    app = UpgradeFlows(
        wiring or FakeWiring(), commands, stdin or io.StringIO(), stdout=stdout, stderr=stderr
    )
    try:
        code = main(list(argv), app)
    except SystemExit as exc:
        code = exc.code or 0
    return code, stdout.getvalue(), stderr.getvalue()
