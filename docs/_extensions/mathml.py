"""Sphinx extension: formulas as MathML, which browsers draw without scripts or downloads."""

from docutils.nodes import SkipNode
from math_core import LatexToMathML

CONVERTER = LatexToMathML()


def write_inline(translator, node):
    translator.body.append(CONVERTER.convert_with_local_state(node.astext(), displaystyle=False))
    raise SkipNode


def write_block(translator, node):
    formula = CONVERTER.convert_with_local_state(node.astext(), displaystyle=True)
    translator.body.append(f'<div class="formula">{formula}</div>')
    raise SkipNode


def setup(app):
    app.add_html_math_renderer("mathml", (write_inline, None), (write_block, None))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
