"""Sphinx extension: a page for each of examples/*.py, with what it prints and draws while the site is built."""

import ast
import os
import subprocess
import sys
import time
from pathlib import Path

import alone
from sphinx.errors import ExtensionError
from sphinx.util.display import status_iterator

import cgmm

PAGE = """# {title}

{about}

{pictures}

## What it prints

````text
{printed}
````

## The script

Download {{download}}`{name}.py <{name}/{name}.py>`, or the notebook
{{download}}`{name}.ipynb <{name}/{name}.ipynb>`{needs}{lasts}

```{{literalinclude}} {name}/{name}.py
:language: python
:lines: {first}-
```
"""
LONG = 5  # seconds, from which on a page says how long its script runs
INDEX = """# Gallery

Each page shows a script, with what it printed and drew when this site was built. The script and the notebook that a
page offers for download run alone.

```{{toctree}}
:hidden:

{names}
```

````{{container}} gallery
{cards}
````
"""


def write(app):
    """The gallery's pages and pictures, and its index. What is newer than all scripts and the package is kept."""
    folder, examples = Path(app.srcdir) / "gallery", Path(app.srcdir).parent / "examples"
    scripts = sorted(examples.glob("[!_]*.py"))
    package = Path(cgmm.__file__).parent
    sources = [*examples.glob("*.py"), *package.rglob("*.py"), *package.glob("*.so")]
    newest = max(path.stat().st_mtime for path in sources)
    for script in status_iterator(scripts, "running examples... ", "brown", len(scripts), app.verbosity, str):
        page = folder / f"{script.stem}.md"
        if not page.exists() or page.stat().st_mtime < newest:
            begun = time.perf_counter()
            printed = run(script, folder / script.stem)
            seconds = time.perf_counter() - begun
            downloads(script, folder)
            page.write_text(page_of(script, printed, seconds, folder))
    cards = "\n\n".join(card(script, folder) for script in scripts)
    (folder / "index.md").write_text(INDEX.format(names="\n".join(script.stem for script in scripts), cards=cards))


def run(script, output):
    """What a script prints; its pictures are in the folder `output`."""
    output.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, str(script), "--output", "."]
    done = subprocess.run(command, cwd=output, env=os.environ | {"MPLBACKEND": "Agg"}, capture_output=True, text=True)
    if done.returncode:
        raise ExtensionError(f"{script.name} failed:\n{done.stderr}")
    return done.stdout.strip()


def downloads(script, folder):
    """The script as a file that runs by itself, and as a notebook, in its folder."""
    text = alone.script(script.read_text(), (script.parent / "_common.py").read_text())
    (folder / script.stem / script.name).write_text(text)
    drawn = [Path(picture).name for picture in pictures(script, folder)]
    (folder / script.stem / f"{script.stem}.ipynb").write_text(alone.notebook(text, drawn))


def page_of(script, printed, seconds, folder):
    title, about, first = introduction(script)
    drawn = "\n\n".join(f"![{title}]({picture})" for picture in pictures(script, folder))
    facts = {"title": title, "about": about, "first": first, "needs": needs(script)}
    facts["lasts"] = f" It runs for about {seconds:.0f} seconds." if seconds >= LONG else ""
    return PAGE.format(pictures=drawn, printed=printed, name=script.stem, **facts)


def needs(script):
    """The end of a sentence: which files the script reads, and where it looks for them."""
    read = [path for path in sorted((script.parent / "data").iterdir()) if path.name in script.read_text()]
    if not read:
        return "."
    links = " and ".join(f"{{download}}`{path.name} <../../examples/data/{path.name}>`" for path in read)
    return f". It reads {links} in a folder `data` beside it."


def card(script, folder):
    """A paragraph of the index: the first picture and the title, linked to the page."""
    title = introduction(script)[0]
    thumbnails = [f"[![{title}]({picture})]({script.stem}.md)" for picture in pictures(script, folder)[:1]]
    return "\n".join([*thumbnails, f"[{title}]({script.stem}.md)"])


def introduction(script):
    """The first line of a script's docstring, the rest of it, and the number of the line after it."""
    tree = ast.parse(script.read_text())
    title, _, about = ast.get_docstring(tree).partition("\n")
    return title.rstrip("."), about.strip(), tree.body[0].end_lineno + 2


def pictures(script, folder):
    return [path.relative_to(folder).as_posix() for path in sorted((folder / script.stem).glob("*.png"))]


def setup(app):
    app.connect("builder-inited", write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
