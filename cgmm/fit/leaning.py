"""Whether fits lean on reg_covar: without it the likelihood might have no maximum there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from cgmm import _kernels
from cgmm.em.abreast import Leaning
from cgmm.fit.doubts import OWN_ROWS

if TYPE_CHECKING:
    from cgmm.mixture.families import Family
    from cgmm.types import Array, Mask

# A fit leans on reg_covar if that is more than this share of a variance: without it there might be no maximum there.
# But not if the variance is the rows' own: of a component of OWN_ROWS for each feature and one more, and, without
# reg_covar, no less than this share of it. Equal rows have no such variance, and needles have not so many rows.
LEANING, OWN_SHARE = 0.25, 0.01


def leaning(d: int) -> Leaning:
    """Which fits of rows of d features do."""
    return Leaning(LEANING, OWN_SHARE, OWN_ROWS * (d + 1))


def leans(family: Family, root: Array, masses: Array | None, d: int, reg_covar: float) -> bool:
    """Whether a mixture whose components have rows of so much weight (k,), or None: unknown, leans on reg_covar."""
    return bool(each_leans(family, root[np.newaxis], None if masses is None else masses[np.newaxis], d, reg_covar)[0])


def each_leans(family: Family, roots: Array, masses: Array | None, d: int, reg_covar: Array | float) -> Mask:
    """The same of m mixtures of as many components, (m,): roots (m,…), masses (m,k), reg_covar (m,) or of all."""
    added = np.full(len(roots), reg_covar, dtype=np.float64)
    return _kernels.each_leans(roots, masses, d, family.correlated, family.per_component, added, leaning(d))
