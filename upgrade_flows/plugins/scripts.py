"""Shell scripts that are sent to a machine whole, and the lines of facts that they say."""

from __future__ import annotations

import base64
import shlex
from collections.abc import Sequence
from importlib import resources

from upgrade_flows.errors import HostError

BEGIN, END = "begin\tupgrade-flows", "end\tupgrade-flows"


def script(
    package: str, parts: Sequence[str], arguments: Sequence[str] = (), content: bytes | None = None
) -> str:
    """Return parts that lie in a package as one text for ``sh -s``.

    All of it is read before any of it is done, so that no command eats the rest.

    :param content: what the script's function ``content`` says, in base64.
    """
    folder = resources.files(package)
    texts = [folder.joinpath(f"{part}.sh").read_text("utf-8") for part in parts]
    coded = base64.encodebytes(content or b"").decode()
    return (
        "content() {\ncat <<'END'\n" + coded + "END\n}\n"
        "main() {\n" + "\n".join(texts) + "\n}\n"
        f"main {shlex.join(arguments)} </dev/null\n"
    )


def lines(host: str, said: str) -> list[list[str]]:
    """Return the lines that a script said, each as its parts.

    :raises HostError: it did not say all.
    """
    rows = said.split("\n")
    if BEGIN not in rows or END not in rows:
        raise HostError(f"{host}: did not say all that it was asked for")
    rows = rows[rows.index(BEGIN) + 1 : rows.index(END)]
    return [row.split("\t") for row in rows if row]
