"""Two small releases of a service called nova, and audits of texts against them."""

from __future__ import annotations

from pathlib import Path

from upgrade_flows.config_audit import audit, metadata

FILES = Path(__file__).parent / "config_audit_files"


def options(**groups):
    """Return the options of groups, as the reader prints them."""
    found = {}
    for group, names in groups.items():
        found[group] = {name: {"type": "string", **said} for name, said in names.items()}
    return found


def release(name, groups, service="nova", plugins=None, modules=(), version="1.0"):
    return metadata.from_plain(
        {
            "release": name,
            "services": {
                service: {
                    "version": version,
                    "libraries": {},
                    "options": groups,
                    "plugins": plugins or {},
                    "modules": list(modules),
                }
            },
        }
    )


OLD = release(
    "2025.1",
    options(
        DEFAULT={
            "gone": {"default": "x", "leaving": "29.0.0", "reason": "Nobody used it."},
            "number": {"default": "5"},
            "mode": {"choices": ["a", "b"], "default": "a"},
            "workers": {"type": "integer", "default": 0},
            "kept": {"default": "k"},
            "leaving": {"default": "l"},
            "password": {"secret": True},
            "tags": {"type": "multistring", "multi": True},
        },
        api={
            "limit": {"type": "integer", "default": 1000, "old": [["DEFAULT", "old_limit"]]},
            "address": {"default": "1.1.1.1", "old": [["DEFAULT", "host_ip"]]},
            "tenant": {"default": "t"},
        },
        libvirt={
            "cpu_mode": {"default": "none"},
            "images_type": {"default": "ext3"},
            "driver": {},
        },
        other={"color": {"default": "red"}},
    ),
    modules=("nova.virt.hyperv.driver", "nova.virt.libvirt.driver"),
)

NEW = release(
    "2026.1",
    options(
        DEFAULT={
            "number": {"type": "integer", "default": 5},
            "mode": {"choices": ["a", "c"], "default": "a"},
            "workers": {"type": "integer", "default": 0, "min": 0, "max": 8},
            "kept": {"default": "changed"},
            "leaving": {"default": "l", "leaving": "33.0.0", "reason": "It does nothing."},
            "password": {"secret": True},
            "tags": {"type": "multistring", "multi": True, "old": [["DEFAULT", "labels"]]},
        },
        api={
            "limit": {"type": "integer", "default": 1000},
            "address": {"default": "1.1.1.1", "old": [["DEFAULT", "host_ip"]]},
            "project": {"default": "t", "old": [["api", "tenant"], ["api", "owner"]]},
            "brand_new": {},
        },
        libvirt={
            "cpu_mode": {"default": "none"},
            "images_type": {"default": "vfat"},
            "driver": {},
        },
        colors={"shade": {"default": "red", "old": [["other", "color"]]}},
    ),
    modules=("nova.virt.libvirt.driver",),
)


def of(text, path="nova.conf", service=None):
    """Return the audit of one text."""
    return audit.audit(OLD, NEW, [(path, text)], service)


def lines(found):
    """Return what is worth comparing of an audit: number, severity, line, option."""
    return [
        (one.id[-3:], one.severity, one.evidence["line"], one.evidence["option"])
        for one in sorted(found.findings, key=lambda one: (one.evidence["line"], one.id))
    ]


#: what pins everything that has another default in NEW
PINNED = "[DEFAULT]\nkept = k\n[libvirt]\nimages_type = ext3\n"
