"""Which fits lean on reg_covar: the compiled code beside the definition."""

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from cgmm.fit.doubts import OWN_ROWS
from cgmm.fit.leaning import LEANING, OWN_SHARE, each_leans, leans
from cgmm.mixture.families import FAMILIES

K, D = 3, 2


def least_of(root, matrices):
    """The least variance of a feature, given all others."""
    precisions = (root**2).sum(axis=-2) if matrices else root**2
    return 1 / precisions.max()


def expected(family, root, masses, reg_covar):
    own, matrices, enough = FAMILIES[family].per_component, FAMILIES[family].correlated, OWN_ROWS * (D + 1)
    if not reg_covar > LEANING * least_of(root, matrices):
        return False
    if masses is None or masses.sum() < enough:
        return True
    each = [(root[c : c + 1], masses[c]) for c in range(K)] if own else [(root, masses.sum())]
    for part, mass in each:
        least = least_of(part, matrices)
        if reg_covar > LEANING * least and (least - reg_covar < OWN_SHARE * reg_covar or mass < enough):
            return True
    return False


@pytest.mark.parametrize("family", sorted(name for name, own in FAMILIES.items() if not own.one_feature))
@pytest.mark.parametrize("known", [False, True])
def test_as_it_is_defined(known, family):
    rng, own = np.random.default_rng(0), FAMILIES[family]
    shape, found = own.shape(K, D), set()
    roots = np.exp(rng.normal(size=(400, *shape)))
    if own.correlated:
        roots = np.tril(roots)
    if not own.per_component and family != "tied":
        roots[:] = roots[:, :1]
    masses = rng.uniform(1, 60, size=(400, K)) if known else None
    reg_covar = np.exp(rng.uniform(-5, 1, size=400))
    for i in range(0, 400, 4):  # as much as some variances, or a little less
        reg_covar[i] = least_of(roots[i], own.correlated) * rng.uniform(0.97, 1.0)
    leaning = each_leans(own, roots, masses, D, reg_covar)
    for i in range(400):
        mass = None if masses is None else masses[i]
        assert leaning[i] == expected(family, roots[i], mass, reg_covar[i])
        assert leans(own, roots[i], mass, D, float(reg_covar[i])) == leaning[i]
        found.add(bool(leaning[i]))
    assert found == {False, True}


def test_what_has_no_fit_does_not_lean():
    """Of a problem without one all is NaN."""
    roots, masses = np.full((2, K, D, D), np.nan), np.full((2, K), np.nan)
    assert_array_equal(each_leans(FAMILIES["full"], roots, masses, D, 1e-6), [False, False])
