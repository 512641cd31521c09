"""Lending cgmm to scikit-learn's own classes, and taking it back."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cgmm.sklearn.lending import LOANS

if TYPE_CHECKING:
    from types import TracebackType


class Patch:
    """That scikit-learn's classes are patched: as a context, until its end."""

    def __enter__(self) -> Patch:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        unpatch_sklearn()


def patch_sklearn() -> Patch:
    """Have scikit-learn's GaussianMixture and BayesianGaussianMixture computed by cgmm, in this process, from now on.

    The classes themselves get other methods: they stay the same objects. So models that exist already, subclasses,
    names that were imported before, tests for the exact type and pickles all go on as they are.

    Returns
    -------
    Patch
        ``with patch_sklearn(): …`` ends it. Otherwise ``unpatch_sklearn()`` does.

    Examples
    --------
    >>> from cgmm.sklearn import patch_sklearn
    >>> from sklearn.mixture import GaussianMixture
    >>> with patch_sklearn():
    ...     labels = GaussianMixture(2, random_state=0).fit_predict([[0.0], [1.0], [8.0], [9.0]])
    >>> bool(labels[0] == labels[1] != labels[2])
    True
    """
    for loan in LOANS:
        for name, method in loan.lent.items():
            setattr(loan.of, name, method)
    return Patch()


def unpatch_sklearn() -> None:
    """Give scikit-learn's classes their own methods again; nothing happens if they have them.

    Examples
    --------
    >>> import sklearn.mixture
    >>> from cgmm.sklearn import patch_sklearn, unpatch_sklearn
    >>> theirs = sklearn.mixture.GaussianMixture
    >>> patch = patch_sklearn()
    >>> unpatch_sklearn()
    >>> sklearn.mixture.GaussianMixture is theirs
    True
    """
    for loan in LOANS:
        for name, method in loan.lent.items():
            if vars(loan.of).get(name) is method:
                delattr(loan.of, name)
                if name not in loan.inherited:
                    setattr(loan.of, name, loan.own[name])
