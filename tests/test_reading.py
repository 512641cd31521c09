"""Blocks on their way: read ahead of the pass, and cut anew."""

import threading

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cgmm.rows.part import Part
from cgmm.rows.reading import read_ahead, recut
from gaps import cut


def test_the_reader_ends_with_the_pass():
    """Whether the pass ends, fails or is left."""

    def threads():
        return [thread for thread in threading.enumerate() if thread.name == "cgmm reads ahead"]

    parts = (Part(np.full((2, 1), float(i))) for i in range(100))
    assert [part.rows[0, 0] for part in read_ahead(parts)] == list(range(100))
    left = read_ahead(Part(np.zeros((2, 1))) for _ in range(100))
    next(left)
    left.close()
    assert threads() == []
    with pytest.raises(ZeroDivisionError):
        list(read_ahead(Part(np.full((1, 1), 1 / i)) for i in (2, 1, 0)))
    assert threads() == []


@pytest.mark.parametrize("size", [1, 7, 64, 100])
@pytest.mark.parametrize("to", [1, 8, 64])
def test_a_cut_anew_keeps_rows_and_companions(size, to):
    X, w = np.random.default_rng(0).normal(size=(200, 3)), np.arange(200.0)
    blocks = (Part(some, weights, weights.astype(np.intp)) for some, weights in cut(X, size, w))
    found = [part.copied() for part in recut(blocks, to)]
    assert [len(part.rows) for part in found[:-1]] == [to] * (len(found) - 1)
    for at, expected in enumerate((X, w, w)):
        assert_array_equal(np.concatenate([part[at] for part in found]), expected)
