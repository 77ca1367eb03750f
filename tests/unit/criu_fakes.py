"""What criu, nft, mount and umount do in the sandbox of a guest: one program, by its name."""

import json
import os
import pathlib
import signal
import subprocess
import sys

root = pathlib.Path(os.environ["SANDBOX"])
me, words = pathlib.Path(sys.argv[0]).name, sys.argv[1:]
state_file = root / "fakes.json"
state = json.loads(state_file.read_text()) if state_file.exists() else {}


def keep():
    state_file.write_text(json.dumps(state))


def log(*what):
    state.setdefault("log", []).append(" ".join([me, *what]))
    keep()


def after(word):
    return words[words.index(word) + 1] if word in words else ""


def fail(code, said):
    print(said, file=sys.stderr)
    sys.exit(code)


def criu():
    action = words[0]
    folder = pathlib.Path(after("-D") or ".")
    if action == "check":
        fail(state.get("check", 0), "Error (criu/cr-check.c): veth pair\nLooks good.")
    if action == "-V":
        print("Version: 3.17.1")
        return
    if action == "cpuinfo":
        if words[1] == "dump":
            (folder / "cpuinfo.img").write_bytes(b"\x01cpu\n")
        elif (folder / "cpuinfo.img").read_bytes() != b"\x01cpu\n" or state.get("poor"):
            fail(1, "FPU xsave area present, but host cpu doesn't support it")
        return
    log(*(word for word in words if not word.isdigit()))
    failures = state.get("failures", {}).get(action, 0)
    if failures:
        state["failures"][action] = failures - 1
        keep()
        (folder / "dump.log").write_text("Error: In-flight connection (l)\n")
        fail(1, "")
    if action == "dump":
        process = pathlib.Path("/proc", after("-t"), "cmdline").read_text().split("\0")[:-1]
        (folder / "images.json").write_text(json.dumps([*process, state.get("memory", "")]))
        os.kill(int(after("-t")), signal.SIGKILL)
        (folder / "stats-dump").write_text("")
        if state.get("dies"):
            os.kill(os.getppid(), signal.SIGKILL)
    if action == "restore":
        *process, memory = json.loads((folder / "images.json").read_text())
        nowhere = subprocess.DEVNULL
        done = subprocess.Popen(
            process, stdin=nowhere, stdout=nowhere, stderr=nowhere, cwd="/", start_new_session=True
        )
        pathlib.Path(after("--pidfile")).write_text(f"{done.pid}\n")
        state["memory"] = memory
        state.setdefault("began", []).append(done.pid)
        keep()


def nft():
    if words[:2] == ["list", "tables"]:
        fail(state.get("nft", 0), "")
    if words[0] == "-f":
        state["rules"] = pathlib.Path(words[1]).read_text()
        log("lock")
    else:
        log(*(word.rstrip("0123456789") for word in words))


def mount():
    device, folder = pathlib.Path(words[-2]).resolve(), pathlib.Path(words[-1])
    log(*words[:-2], folder.name)
    folder.rmdir()
    folder.symlink_to(device)
    with (root / "proc/mounts").open("a") as file:
        file.write(f"{device} {folder} {after('-t')} {after('-o')} 0 0\n")


def umount():
    folder = pathlib.Path(words[-1])
    log(folder.name)
    if state.get("busy"):
        fail(32, f"umount: {folder}: target is busy.")
    folder.unlink()
    folder.mkdir()
    rows = (root / "proc/mounts").read_text().splitlines(keepends=True)
    (root / "proc/mounts").write_text("".join(row for row in rows if f" {folder} " not in row))


{"criu": criu, "nft": nft, "mount": mount, "umount": umount}[me]()
