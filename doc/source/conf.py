"""How Sphinx builds the manual: tox -e docs."""

from upgrade_flows.cli import base

project = "upgrade-flows"
copyright = "the authors of upgrade-flows"
extensions = [
    "cliff.sphinxext",
    "openstackdocstheme",
    "oslo_config.sphinxext",
    "reno.sphinxext",
    "sphinx.ext.autodoc",
]
root_doc = "index"
html_theme = "openstackdocs"
openstackdocs_auto_name = False
openstackdocs_auto_version = False
openstackdocs_repo_name = ""
pygments_style = "native"
autodoc_member_order = "bysource"
autoprogram_cliff_application = "upgrade-flows"
autoprogram_cliff_ignored = ["-h", "--help", "--max-width", "--fit-width", "--print-empty"]


def _examples(command):
    """Give the examples of a command as lines that are kept; on a terminal they are so anyway."""
    return "\n".join(["Examples::", "", *(f"  {line}" for line in command.examples)])


base.Parts.get_epilog = _examples
