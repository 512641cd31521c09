"""How Sphinx builds the site: sphinx-build -W --keep-going -n -b html docs docs/_build/html."""

import re
import sys
from pathlib import Path

import cgmm

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE / "_extensions"))

project = "cgmm"
author = copyright = "The cgmm developers"
version = release = cgmm.__version__

extensions = ["sphinx.ext.autodoc", "numpydoc", "myst_parser", "gallery", "mathml"]
exclude_patterns = ["_build"]

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"cgmm {release}"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"
numpydoc_show_class_members = False

# Links of the repository's files, and where in the site they lead.
PAGES = [
    (re.compile(r"\]\((\.\./)?benchmarks/results/([\w-]+)\.md\)"), r"](benchmarks.md#\2)"),
    (re.compile(r"\]\((\.\./)?benchmarks/results\)"), "](benchmarks.md#results)"),
    (re.compile(r"\]\((\.\./)?benchmarks/README\.md\)"), "](benchmarks.md)"),
    (re.compile(r"\]\((\.\./)?examples\)"), "](gallery/index.md)"),
    (re.compile(r"\]\(CONTRIBUTING\.md\)"), "](contributing.md)"),
    (re.compile(r"\]\(CHANGELOG\.md\)"), "](changes.md)"),
    (re.compile(r"\]\((\.\./)?docs/"), "]("),
]


def lead_inside(app, *where_and_source):
    """Let the links in a source lead to pages of the site."""
    source = where_and_source[-1]
    for link, page in PAGES:
        source[0] = link.sub(page, source[0])


def setup(app):
    app.connect("source-read", lead_inside)
    app.connect("include-read", lead_inside)
