"""Configuration of the documentation's site: `make docs` builds it with Sphinx from the Markdown here and from docstrings."""

from __future__ import annotations

import re
from importlib.metadata import version as installed_version
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]
LINK = re.compile(r"\]\((?P<path>\.\.?/[^)#\s]+)(?P<anchor>#[^)\s]*)?\)")
REPOSITORY = "https://github.com/sparksweep/sparksweep/blob/main"

project = "sparksweep"
copyright = "the sparksweep authors"
version = release = installed_version("sparksweep")

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx_copybutton"]
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
exclude_patterns = ["decisions/template.md"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_default_options = {"members": True}
add_module_names = False
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Docstrings are Markdown's code spans, `name`, where reStructuredText would want two backticks.
default_role = "code"

html_theme = "furo"
html_title = f"sparksweep {release}"
copybutton_prompt_text = "$ "


def link_to_repository(app: Sphinx, page: str, source: list[str]) -> None:
    """Turn links to files outside of docs/ into links to the repository, where they read the same as on GitHub."""
    here = (Path(app.srcdir) / page).parent

    def link(match: re.Match[str]) -> str:
        target = (here / match["path"]).resolve()
        if target.is_relative_to(app.srcdir) or not target.exists():
            return match[0]
        return f"]({REPOSITORY}/{target.relative_to(ROOT).as_posix()}{match['anchor'] or ''})"

    source[0] = LINK.sub(link, source[0])


def setup(app: Sphinx) -> None:
    """Register with Sphinx."""
    app.connect("source-read", link_to_repository)
