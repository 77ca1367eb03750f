"""Patched files: what is claimed to be mended is mended, and nothing else is touched."""

from __future__ import annotations

import random
import re

import pytest
from oslo_config import cfg

from tests.unit.config_audit_samples import FILES, NEW, OLD, PINNED, of
from upgrade_flows.config_audit import audit, metadata
from upgrade_flows.config_audit.fix import SIGN


def mended(text, path="nova.conf"):
    result = of(text, path)
    return result.patches().get(path, (text, ""))[0]


def fixable(result):
    return [one for one in result.findings if "fix" in one.evidence]


def test_a_renamed_option_is_renamed_where_it_stands():
    text = PINNED + "[api]\n# who pays\ntenant=x  \nlimit = 5\n"
    assert mended(text) == PINNED + "[api]\n# who pays\nproject=x  \nlimit = 5\n"


def test_a_moved_option_goes_to_the_end_of_its_section_and_a_comment_says_so():
    text = PINNED + "[api]\nlimit = 5\n\n# the end\n[other]\n# dear\ncolor : blue\n  sky\nx = y\n"
    assert mended(text) == (
        PINNED + "[api]\nlimit = 5\n\n# the end\n[other]\n# dear\n"
        "# upgrade-flows: color is [colors] shade now\nx = y\n"
        "\n[colors]\nshade : blue\n  sky\n"
    )


def test_an_option_moves_into_a_section_that_is_there():
    text = (
        "[DEFAULT]\nkept = k\nhost_ip = 3.3.3.3\n\n[api]\nlimit = 5\n\n[libvirt]\nimages_type=a\n"
    )
    assert mended(text) == (
        "[DEFAULT]\nkept = k\n# upgrade-flows: host_ip is [api] address now\n\n"
        "[api]\nlimit = 5\naddress = 3.3.3.3\n\n[libvirt]\nimages_type=a\n"
    )


def test_a_removed_option_becomes_a_comment_with_all_its_lines():
    text = PINNED + "[DEFAULT]\ngone = y\n  and more\nmode = a\n"
    assert mended(text) == PINNED + (
        "[DEFAULT]\n# upgrade-flows: not read by 2026.1\n#gone = y\n#  and more\nmode = a\n"
    )


def test_a_changed_default_that_guests_notice_is_pinned_and_no_other():
    assert mended("[DEFAULT]\nmode = a\n") == (
        "[DEFAULT]\nmode = a\n\n[libvirt]\n"
        "# upgrade-flows: this was the default before 2026.1\nimages_type = ext3\n"
    )


def test_of_two_old_names_the_one_that_counted_counts_and_the_other_is_a_comment():
    text = PINNED + "[api]\nowner = b\ntenant = a\n"
    assert mended(text) == PINNED + (
        "[api]\n# upgrade-flows: not read by 2026.1\n#owner = b\nproject = a\n"
    )


def test_an_old_name_beside_the_new_one_is_taken_out():
    text = PINNED + "[api]\ntenant = a\nproject = b\n"
    assert mended(text) == PINNED + (
        "[api]\n# upgrade-flows: not read by 2026.1\n#tenant = a\nproject = b\n"
    )


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("last", [True, False])
def test_line_ends_stay_as_they_are(end, last):
    text = end.join(["[DEFAULT]", "kept = k", "gone = y", "[libvirt]", "images_type = a", "[api]",
                     "tenant = x"]) + (end if last else "")  # fmt: skip
    result = mended(text)
    assert result.endswith(f"project = x{end if last else ''}")
    assert re.sub(r"\r\n", "", result).count("\r") == 0
    assert result.count("\n") == result.count(end)


# any file

NAMES = (
    "[DEFAULT] gone", "[DEFAULT] number", "[DEFAULT] mode", "[DEFAULT] kept", "[DEFAULT] leaving",
    "[DEFAULT] old_limit", "[DEFAULT] host_ip", "[DEFAULT] labels", "[DEFAULT] tags",
    "[DEFAULT] nonsense", "[api] limit", "[api] address", "[api] tenant", "[api] project",
    "[libvirt] cpu_mode", "[libvirt] images_type", "[other] color", "[colors] shade", "[Api] limit",
)  # fmt: skip
VALUES = ("1", "22", "a", "'b c'", "", "x\n  y", "1.1.1.1")
NOISE = ("# a comment", "; another", "", "#kept = z", "   ")


def any_file(seed):
    rng = random.Random(seed)
    lines, section = [], ""
    for name in rng.choices(NAMES, k=rng.randint(1, 12)):
        group, _, option = name.partition(" ")
        if rng.random() < 0.3:
            lines.append(rng.choice(NOISE))
        if group != section:
            lines.append(group)
            section = group
        lines.append(f"{option}{rng.choice((' = ', '=', ': '))}{rng.choice(VALUES)}")
    return "\n".join(lines) + rng.choice(("", "\n", "\n\n# the end\n"))


def effective(text, service, tmp_path):
    """Return what oslo.config reads of a text with the options of a release, as strings."""
    path = tmp_path / "read.conf"
    path.write_text(text, encoding="utf-8", newline="")
    conf = cfg.ConfigOpts()
    for option in service.options.values():
        old = [cfg.DeprecatedOpt(name, group=group) for group, name in option.old]
        make = cfg.MultiStrOpt if option.multi else cfg.StrOpt
        group = None if option.group == "DEFAULT" else option.group
        conf.register_opt(make(option.name, deprecated_opts=old), group=group)
    conf(["--config-file", str(path)])
    found = {}
    for option in service.options.values():
        value = (conf if option.group == "DEFAULT" else conf[option.group])[option.name]
        found[option.key] = sorted(value or []) if option.multi else value  # in no order
    return found


@pytest.mark.parametrize("seed", range(300))
def test_any_file_says_the_same_to_the_new_release_as_it_said_to_the_old_one(seed, tmp_path):
    text = any_file(seed)
    before = effective(text, OLD.services["nova"], tmp_path)
    own = effective(text, NEW.services["nova"], tmp_path)
    after = effective(mended(text), NEW.services["nova"], tmp_path)
    new_names = {("api", "tenant"): ("api", "project"), ("other", "color"): ("colors", "shade")}
    for key, value in before.items():
        target = new_names.get(key, key)
        if key == ("DEFAULT", "gone"):
            continue
        if value is None and target == ("libvirt", "images_type"):
            assert after[target] == "ext3"  # pinned
        elif own[target] is not None:
            assert after[target] == own[target]
        else:
            assert after[target] == value


@pytest.mark.parametrize("seed", range(300))
def test_any_file_keeps_its_comments_and_its_order(seed):
    text = any_file(seed)
    after = [line for line in mended(text).splitlines() if not line.startswith(SIGN)]
    comments = [line for line in text.splitlines() if line.startswith(("#", ";"))]
    kept = iter(after)
    assert all(line in kept for line in comments)
    touched = {one.evidence["line"] for one in fixable(of(text))}
    same = [
        line
        for number, line in enumerate(text.splitlines(), 1)
        if number not in touched and line and line[0] not in " #;["
    ]
    kept = iter(after)
    assert all(line in kept for line in same)


@pytest.mark.parametrize("seed", range(300))
def test_any_file_needs_mending_only_once(seed):
    text = mended(any_file(seed))
    again = of(text)
    assert fixable(again) == []
    assert again.patches() == {}


@pytest.mark.parametrize("new", ["2025.2", "2026.1"])
def test_the_files_of_a_cloud_need_mending_only_once(new):
    releases = metadata.load("2025.1"), metadata.load(new)
    files = audit.read([str(FILES / "controller")])
    first = audit.audit(*releases, files)
    patches = first.patches()
    assert len(patches) >= 5
    texts = [(path, patches.get(path, (text, ""))[0]) for path, text in files]
    second = audit.audit(*releases, texts)
    assert fixable(second) == []
    mended_ones = {(one.id, one.evidence["option"]) for one in fixable(first)}
    assert mended_ones & {(one.id, one.evidence["option"]) for one in second.findings} == set()


def test_the_difference_is_what_patch_understands(tmp_path):
    import subprocess

    path = tmp_path / "nova.conf"
    path.write_text(PINNED + "[api]\ntenant = x", encoding="utf-8")
    result = audit.audit(OLD, NEW, audit.read([str(path)]))
    text, difference = result.patches()[str(path)]
    subprocess.run(["patch", "-s", str(path)], input=difference, text=True, check=True)
    assert path.read_text(encoding="utf-8") == text
