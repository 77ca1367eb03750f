"""The tools of a small Debian host, all in one program: what they do is kept in a file.

Called under the name of a tool, with the folder of the sandbox in ``SANDBOX``.
"""

import itertools
import json
import os
import re
import sys
from pathlib import Path

ROOT = Path(os.environ["SANDBOX"])
STATE = ROOT / "state.json"
NAME, WORDS = os.path.basename(sys.argv[0]), sys.argv[1:]


def load():
    return json.loads(STATE.read_text())


def save(state):
    new = STATE.with_suffix(".new")
    new.write_text(json.dumps(state))
    os.replace(new, STATE)


def fail(text, code=100):
    print(text, file=sys.stderr)
    raise SystemExit(code)


def options():
    return [w for before, w in itertools.pairwise(WORDS) if before == "-o"]


def versions(state):
    """Return the versions that the package sources have, by package, the newest first."""
    folder = ROOT / "etc/apt/sources.list.d"
    for option in options():
        if option.startswith("Dir::Etc::SourceParts="):
            folder = Path(option.partition("=")[2])
    found = {name: list(those) for name, those in state["archive"].items()}
    for path in sorted(folder.glob("*.list")):
        for line in path.read_text().split("\n"):
            for name, those in state["repositories"].get(line, {}).items():
                found[name] = [*those, *found.get(name, [])]
    return found


def apt_get():
    state = load()
    state["calls"].append(["apt-get", *WORDS])
    save(state)
    words = [w for w in WORDS if w != "-o" and w not in options()]
    if "update" in words:
        return update(state)
    if state["interrupted"]:
        fail("E: dpkg was interrupted, you must manually run 'dpkg --configure -a'")
    simulate = "-s" in words
    wanted = words[words.index("--") + 1 :] if "--" in words else []
    available = versions(state)
    before = dict(state["installed"])
    after, manual = dict(before), set()
    for word in wanted:
        name, _, version = word.partition("=")
        if word.endswith("-") and word[:-1] in before:
            after.pop(word[:-1])
            continue
        if name not in available:
            fail(f"E: Unable to locate package {name}")
        if version and version not in available[name]:
            fail(f"E: Version '{version}' for '{name}' was not found")
        after[name] = version or available[name][0]
        manual.add(name)
        for other in state["depends"].get(name, ()):
            if other not in after:
                after[other] = available[other][0]
        for other in state["conflicts"].get(name, ()):
            after.pop(other, None)
    if simulate:
        for name in before.keys() - after.keys():
            print(f"Remv {name} [{before[name]}]")
        for name in sorted(name for name in after if before.get(name) != after[name]):
            print(f"Inst {name} ({after[name]} Debian:12 [amd64])")
        return None
    if "--fix-broken" in words:
        state["half"] = []
    state["installed"] = after
    state["configured"] = [
        n for n in {*state["configured"], *(before.keys() - after.keys())} if n not in after
    ]
    new = after.keys() - before.keys()
    automatic = ({*state["automatic"]} | new) - manual
    state["automatic"] = sorted(automatic & after.keys())
    done = {word.partition("=")[0] for word in wanted}
    state["half"] = [name for name in state["half"] if name not in done]
    if (ROOT / "fail-install").exists():
        (ROOT / "fail-install").unlink()
        state["interrupted"] = True
        half = sorted(manual)[-1]
        state["installed"].pop(half)
        state["half"] = [half]
        save(state)
        fail("E: Sub-process /usr/bin/dpkg returned an error code (1)")
    return save(state)


def update(state):
    for path in (ROOT / "etc/apt/sources.list.d").glob("*.list"):
        for line in path.read_text().split("\n"):
            known = not line or line in state["repositories"] or line in state["known"]
            if not known and any("Error-Mode" in option for option in options()):
                fail(f"E: Failed to fetch {line}")
    for option in options():
        if option.startswith("Dir::Etc::SourceParts="):
            for path in Path(option.partition("=")[2]).iterdir():
                if path.read_text().strip() not in state["repositories"]:
                    fail(f"E: Failed to fetch {path.read_text()}")


def dpkg_query():
    state = load()
    form = WORDS[WORDS.index("-f") + 1]
    names = WORDS[WORDS.index("-f") + 2 :]
    rows = [(n, v, "installed") for n, v in state["installed"].items()]
    rows += [(n, "0", "config-files") for n in state["configured"]]
    rows += [(n, "0", "half-configured") for n in state["half"]]
    rows = [row for row in rows if not names or row[0] in names]
    for name, version, status in sorted(rows):
        said = form.replace("${db:Status-Status}", status).replace("${binary:Package}", name)
        said = said.replace("${Version}", version).replace("\\n", "\n").replace("\\t", "\t")
        sys.stdout.write(said)
    if names and not rows:
        raise SystemExit(1)


def dpkg():
    state = load()
    if "--audit" in WORDS and state["interrupted"]:
        print("The following packages are only half configured")
    if "--configure" in WORDS:
        state["interrupted"] = False
    if "--purge" in WORDS:
        state["configured"] = [n for n in state["configured"] if n not in WORDS]
    state["calls"].append(["dpkg", *WORDS])
    save(state)


def apt_cache():
    state = load()
    name = WORDS[1]
    found = versions(state).get(name, [])
    if WORDS[0] == "madison":
        for version in found:
            print(f"  {name} | {version} | http://archive bookworm/main amd64 Packages")
    elif found:
        print(f"{name}:\n  Installed: x\n  Candidate: {found[0]}")


def apt_mark():
    state = load()
    if WORDS[0] == "showauto":
        print("\n".join(state["automatic"]))
    elif WORDS[0] == "showhold":
        print("\n".join(state["held"]))
    elif WORDS[0] == "auto":
        state["automatic"] = sorted({*state["automatic"], *WORDS[1:]})
        save(state)


def systemctl():
    state = load()
    state["calls"].append(["systemctl", *WORDS])
    verb, name = WORDS[0], WORDS[-1]
    if verb == "show":
        print("loaded" if name in state["services"] else "not-found")
    elif verb == "is-active":
        print(state["services"][name])
    elif verb == "restart":
        if name in state["broken"]:
            fail(f"Job for {name}.service failed", 1)
        state["services"][name] = "active"
    elif verb == "stop":
        state["services"][name] = "inactive"
    elif verb == "reboot":
        path = ROOT / "proc/sys/kernel/random/boot_id"
        path.write_text(f"boot-{int(re.sub('[^0-9]', '', path.read_text())) + 1}\n")
    save(state)


def sudo():
    state = load()
    if not state["sudo"]:
        fail("sudo: a password is required", 1)
    os.environ["AS_ROOT"] = "yes"
    words = [w for w in WORDS if w != "-n"]
    os.execvp(words[0], words)


def id_():
    print(0 if os.environ.get("AS_ROOT") else load()["uid"])


def df():
    print("Filesystem 1024-blocks Used Available Capacity Mounted on")
    print(f"/dev/sda 1000000 0 {load()['free']} 0% {WORDS[-1]}")


def dkms():
    print(load()["dkms"], end="")


def timedatectl():
    print("yes")


def libvirtd():
    print("libvirtd (libvirt) 9.0.0")


globals()[{"id": "id_"}.get(NAME, NAME.replace("-", "_"))]()
