"""How Sphinx builds the site: sphinx-build -W --keep-going -n -b html docs docs/_build/html."""

import inspect
import re
import sys
from importlib.resources import files
from pathlib import Path

import cgmm

HERE = Path(__file__).parent
MATH_FONT = files("ziamath") / "fonts" / "STIXTwoMath-Regular.ttf"  # without one browsers set formulas in a text font
sys.path.insert(0, str(HERE / "_extensions"))

project = "cgmm"
author = copyright = "The cgmm developers"
version = release = cgmm.__version__

extensions = ["sphinx.ext.autodoc", "sphinx.ext.autosummary", "numpydoc", "myst_parser", "sphinx_copybutton"]
extensions += ["matplotlib.sphinxext.plot_directive", "gallery", "mathml"]
exclude_patterns = ["_build"]
templates_path = ["_templates"]

html_math_renderer = "mathml"
html_theme = "furo"
html_title = f"cgmm {release}"
html_static_path = ["_static", str(MATH_FONT)]
html_css_files = ["site.css"]
html_copy_source = False
html_theme_options = {"navigation_with_keys": True}

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
autodoc_typehints = "none"
numpydoc_show_class_members = False
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
plot_working_directory = str(HERE.parent)
plot_formats = [("png", 150)]
plot_html_show_formats = plot_html_show_source_link = False
plot_include_source = True
plot_rcparams = {"figure.constrained_layout.use": True, "figure.figsize": (6.4, 4)}
plot_apply_rcparams = True

# Links of the repository's files, and where in the site they lead; and the empty line that ends a doctest.
REPLACED = [
    (re.compile(r"\]\((\.\./)?benchmarks/results/([\w-]+)\.md\)"), r"](benchmarks.md#\2)"),
    (re.compile(r"\]\((\.\./)?benchmarks/results\)"), "](benchmarks.md#results)"),
    (re.compile(r"\]\((\.\./)?benchmarks/README\.md\)"), "](benchmarks.md)"),
    (re.compile(r"\]\((\.\./)?examples\)"), "](gallery/index.md)"),
    (re.compile(r"\]\((\.\./)?examples/(\w+)\.py\)"), r"](gallery/\2.md)"),
    (re.compile(r"\]\(CONTRIBUTING\.md\)"), "](contributing.md)"),
    (re.compile(r"\]\(CHANGELOG\.md\)"), "](changes.md)"),
    (re.compile(r"\]\((\.\./)?docs/"), "]("),
    (re.compile(r"\n\n( *```)\n"), r"\n\1\n"),
]


def adapt(app, *where_and_source):
    """Make a page of the site of a text that is also read in the repository."""
    source = where_and_source[-1]
    for pattern, replacement in REPLACED:
        source[0] = pattern.sub(replacement, source[0])


def skip(app, what, name, member, skipped, options):
    """Fields of named tuples, which the class's own text describes, are no members to be listed."""
    return True if type(member).__name__ == "_tuplegetter" else None


def link(app, what, name, obj, options, lines):
    """Make the names of pages in a docstring, docs/starts.md, links to these."""
    lines[:] = [re.sub(r"\bdocs/([\w-]+)\.md\b", r":doc:`/\1`", line) for line in lines]


def sign(app, what, name, obj, options, signature, returned):
    """The signature of an estimator is that of __init__; Sphinx takes that of __new__, which only looks at names."""
    if what != "class" or signature != "(*given, **arguments)":
        return None
    found = inspect.signature(obj)
    plain = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in found.parameters.values()]
    return str(found.replace(parameters=plain, return_annotation=inspect.Signature.empty)), returned


def setup(app):
    app.connect("autodoc-process-signature", sign)
    app.connect("autodoc-skip-member", skip)
    app.connect("autodoc-process-docstring", link, priority=900)  # after numpydoc has made them of its sections
    app.connect("source-read", adapt)
    app.connect("include-read", adapt)
