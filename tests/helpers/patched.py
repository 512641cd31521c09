"""What the tests of the patched classes of scikit-learn share."""

import warnings

from sklearn.exceptions import ConvergenceWarning


def count_calls(loan, monkeypatch):
    """The names of scikit-learn's own methods of a loan, one for each time that it is called while patched."""
    calls = []
    for name, plain in loan.own.items():

        def counted(*arguments, name=name, plain=plain, **named):
            calls.append(name)
            return plain(*arguments, **named)

        monkeypatch.setitem(loan.own, name, counted)
    return calls


def fitted_quietly(model, rows):
    """The model, fitted without a word if it has not converged."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(rows)
