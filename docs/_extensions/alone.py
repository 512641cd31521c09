"""Scripts of examples/ as files that run by themselves: what they share is written into them; and as notebooks."""

import ast
import json

START = '\n\nif __name__ == "__main__":\n    main()\n'


def script(text, shared):
    """The text of a script, with what it imports of ``_common`` in the place of the import."""
    body, lines = ast.parse(text).body, text.splitlines()
    found = [node for node in body if isinstance(node, ast.ImportFrom) and node.module == "_common"]
    if not found:
        return text
    (node,) = found
    first, last = body[0].end_lineno + 1, max(n.end_lineno for n in body if isinstance(n, (ast.Import, ast.ImportFrom)))
    known = set().union(*(defined(n) for n in body if isinstance(n, (ast.Import, ast.ImportFrom)) and n is not node))
    imports, definitions = needed({alias.name for alias in node.names}, known, shared)
    own = [*lines[first : node.lineno - 1], *lines[node.end_lineno : last]]
    return "\n".join([*lines[:first], *imports, *own, "", "", *definitions, *lines[last:]]).rstrip() + "\n"


def needed(names, known, shared):
    """The imports that are not known, and the definitions, of a module's text that names need; each as lines."""
    body = [node for node in ast.parse(shared).body if defined(node)]
    kept, wanted = [], set(names)
    for node in reversed(body):  # What a definition uses stands before it.
        if wanted & defined(node):
            kept.insert(0, node)
            wanted |= {part.id for part in ast.walk(node) if isinstance(part, ast.Name)}
    imports = [node for node in kept if isinstance(node, (ast.Import, ast.ImportFrom)) and not defined(node) <= known]
    others = [node for node in kept if not isinstance(node, (ast.Import, ast.ImportFrom))]
    definitions = "\n\n\n".join(ast.get_source_segment(shared, node) for node in others)
    return [ast.get_source_segment(shared, node) for node in imports], definitions.splitlines()


def defined(node):
    """The names that a statement at the top of a module gives."""
    if isinstance(node, (ast.Import, ast.ImportFrom)):
        return {(alias.asname or alias.name).split(".")[0] for alias in node.names}
    if isinstance(node, ast.Assign):
        return {part.id for target in node.targets for part in ast.walk(target) if isinstance(part, ast.Name)}
    return {node.name} if isinstance(node, (ast.FunctionDef, ast.ClassDef)) else set()


def notebook(text, pictures):
    """A script's text as a notebook: what it is about, all that it defines, a run, and the pictures that it drew."""
    tree = ast.parse(text)
    about = ast.get_docstring(tree)
    code = "\n".join(text.splitlines()[tree.body[0].end_lineno :]).strip() + "\n"
    code = code.removesuffix(START).replace("Path(__file__).parent", "Path()")
    shown = [f"display(Image({name!r}))" for name in pictures]
    cells = [cell("markdown", about), cell("code", code), cell("code", "main([])")]
    cells += [cell("code", "\n".join(["from IPython.display import Image, display", "", *shown]))] if shown else []
    form = {"metadata": {"language_info": {"name": "python"}}, "nbformat": 4, "nbformat_minor": 4}
    return json.dumps({"cells": cells} | form)


def cell(kind, text):
    new = {"cell_type": kind, "metadata": {}, "source": text}
    return new | {"outputs": [], "execution_count": None} if kind == "code" else new
