"""``upgrade-flows config``: what a release means for configuration files."""

from __future__ import annotations

import argparse
import json
import logging
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from upgrade_flows.cli import base, files
from upgrade_flows.errors import RequestError, UpgradeFlowsError
from upgrade_flows.model import codec
from upgrade_flows.model.report import Finding, Severity
from upgrade_flows.reports import tables, words

LOG = logging.getLogger(__name__)

#: exit code of an audit that could not be made
FAILED = 255


class Audit(base.Command):
    """Show what a change of releases means for configuration files

    Each file is compared with what both releases know of options: removed, renamed, moved and
    retyped ones, values that are not taken any more, changed defaults that it does not pin,
    unknown names, and what differs between hosts. What a guest or a user would notice comes
    first. Whose a file is, is told by its name; a directory stands for such files in it, and
    directories named after hosts are compared. Nothing is changed: --fix writes copies.
    Exit codes: 0 nothing found, 1 warnings, 2 errors, 255 the audit could not be made.
    """

    examples = (
        "upgrade-flows config audit --from 2025.1 --to 2026.1 /etc/nova/nova.conf",
        "upgrade-flows config audit --from 2025.1 --to 2026.1 --fix patched hosts/",
        "upgrade-flows config audit --from 2025.1 --to 2026.1 -f json /etc/neutron",
    )

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the releases, the files, and what is done with what is found."""
        parser.add_argument("files", metavar="FILE", nargs="+", help="File, or directory of files.")
        parser.add_argument("--from", dest="old", metavar="RELEASE", required=True,
                            help="Release that the files were made for, as in 2025.1.")  # fmt: skip
        parser.add_argument("--to", dest="new", metavar="RELEASE", required=True,
                            help="Release that is to read them.")  # fmt: skip
        parser.add_argument("--service", metavar="NAME",
                            help="Whose the files are, where their names do not say.")  # fmt: skip
        parser.add_argument(
            "--environment",
            metavar="[RELEASE=]VIRTUALENV",
            action="append",
            default=[],
            help="Take the options of the services in question from there, for --to or the release"
            " that is named; may be repeated.",
        )
        parser.add_argument(
            "--plugin",
            metavar="PACKAGE",
            action="append",
            default=[],
            help="Package in the environment that adds options to the service; may be repeated.",
        )
        parser.add_argument(
            "--fix",
            metavar="DIR",
            help="Write a patched copy of each file that can be mended, and its .diff, below DIR.",
        )
        parser.add_argument("-f", "--format", choices=("table", "json"), default="table",
                            help="How it is shown (default: table).")  # fmt: skip

    def get_parser(self, prog_name: str) -> argparse.ArgumentParser:
        """Return the parser; what it does not understand is no finding either."""
        parser = super().get_parser(prog_name)

        def refuse(message: str) -> NoReturn:
            parser.print_usage(self.application.stderr)
            parser.exit(FAILED, f"{prog_name}: error: {message}\n")

        parser.error = refuse  # type: ignore[method-assign]
        return parser

    def run(self, parsed_args: argparse.Namespace) -> int:
        """Run the command; whatever keeps it from its end is told from what it finds."""
        try:
            return super().run(parsed_args)
        except Exception as exc:
            LOG.error("The audit could not be made", exc_info=exc)
            what = "" if isinstance(exc, UpgradeFlowsError) else f"{type(exc).__name__}: "
            self.application.stderr.write(f"upgrade-flows: {what}{words.safe(str(exc))}\n")
            return FAILED

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Read, compare, show, and write copies if that is asked for."""
        found = self.wiring.audit_config(
            parsed_args.old,
            parsed_args.new,
            parsed_args.files,
            parsed_args.service,
            [_environment(one, parsed_args.new) for one in parsed_args.environment],
            parsed_args.plugin,
        )
        written = _write(found.patches(), parsed_args.fix) if parsed_args.fix else []
        if parsed_args.format == "json":
            shown = {
                "from": found.old,
                "to": found.new,
                "files": [document.path for document in found.documents],
                "notes": list(found.notes),
                "findings": codec.to_plain(found.findings),
                "written": written,
            }
            self.application.stdout.write(json.dumps(shown, indent=2) + "\n")
            return int(found.exit_code)
        printer = tables.console(self.application.stdout)
        if found.findings:
            printer.print(tables.audit(found.findings))
            printer.print(_summary(found.findings))
        else:
            printer.print("Nothing was found.")
        for line in [*found.notes, *(f"written: {path}" for path in written)]:
            self.application.stderr.write(words.safe(line) + "\n")
        return int(found.exit_code)


def _summary(findings: Sequence[Finding]) -> str:
    counts = Counter(finding.severity for finding in findings)
    return (
        f"{words.count(counts[Severity.ERROR], 'error')},"
        f" {words.count(counts[Severity.WARNING], 'warning')},"
        f" {counts[Severity.INFO]} for information"
    )


def _environment(said: str, new: str) -> tuple[str, Path]:
    release, mark, path = said.partition("=")
    return (release, Path(path)) if mark else (new, Path(said))


def _write(patches: dict[str, tuple[str, str]], directory: str) -> list[str]:
    """Write patched files and differences, with the directories that tell them apart.

    :raises RequestError: they cannot be written, or an original would be overwritten.
    """
    common = os.path.commonpath(
        [os.path.dirname(os.path.abspath(path)) for path in patches] or ["."]
    )
    written = []
    for path, (text, difference) in patches.items():
        target = Path(directory) / os.path.relpath(os.path.abspath(path), common)
        if target.exists() and target.samefile(path):
            raise RequestError(f"{path} would be overwritten; name another directory")
        try:
            target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as exc:
            raise RequestError(f"{target.parent} cannot be made: {exc.strerror}") from exc
        for name, content in ((str(target), text), (f"{target}.diff", difference)):
            files.write_private(name, content)
            written.append(name)
    return written


class Metadata(base.Command):
    """Make the metadata of a release that comes with the package

    The services of the release are installed in an environment of their own, which is removed
    again, and asked for their options. For those who maintain upgrade_flows; needs uv, and the
    index of packages that it is set up for.
    """

    examples = ("upgrade-flows config metadata 2025.1 --output 2025.1.json.xz",)

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        """Add the release and the file."""
        parser.add_argument("release", metavar="RELEASE", help="Release, as in 2025.1.")
        parser.add_argument("--output", metavar="FILE", required=True, help="File to write.")
        parser.add_argument(
            "--constraints",
            metavar="FILE",
            help="The release's upper constraints (default: libraries as on the release's day).",
        )

    def take_action(self, parsed_args: argparse.Namespace) -> int:
        """Make, pack and write."""
        given = parsed_args.constraints
        content, made = self.wiring.make_metadata(
            parsed_args.release, Path(given) if given else None, self.say
        )
        try:
            Path(parsed_args.output).write_bytes(content)
        except OSError as exc:
            raise RequestError(f"{parsed_args.output} cannot be written: {exc.strerror}") from exc
        for name, service in made["services"].items():
            options = sum(len(group) for group in service["options"].values())
            left = "".join(f"; left out: {one}" for one in service["left_out"])
            self.application.stdout.write(
                f"{name} {service['version']}: {words.count(options, 'option')}{left}\n"
            )
        return 0
