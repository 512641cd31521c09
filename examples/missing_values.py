"""Rows with missing values: nothing is filled in to fit, and what is missing can be told from what is not.

Of measurements of tumours (Wolberg, Street and Mangasarian 1995) thirty in a hundred are cut out at random: hardly any
row stays whole. A mixture learns from what is left, and is compared with one that learns from the rows as they were.
Then each gap is filled: with the mean of its column, by scikit-learn's IterativeImputer (a regression on the other
columns), with a draw from what the mixture thinks possible given the rest of the row, and with the mean of that.

    python examples/missing_values.py --output FOLDER
"""

import warnings

import numpy as np

from _common import BLUE, GREEN, NEEDS_SCIKIT_LEARN, ORANGE, RED, output_folder, panels, save
from cgmm import GMM

try:
    from sklearn.datasets import load_breast_cancer
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401  # which makes the next import possible
    from sklearn.impute import IterativeImputer
except ImportError:
    raise SystemExit(NEEDS_SCIKIT_LEARN) from None

SHARE = 0.3
SHARES = (0.05, 0.1, 0.2, 0.3, 0.4)
COLOURS = {"means of columns": RED, "IterativeImputer": ORANGE, "mixture, draws": GREEN, "mixture, means": BLUE}


def tumours():
    """Ten measurements of the largest cell nuclei of 569 tumours, in units of their deviations."""
    X = load_breast_cancer().data[:, 20:]
    return (X - X.mean(axis=0)) / X.std(axis=0)


def cut(X, share, seed=0):
    """A copy of X with holes (NaN), each value one with this probability."""
    return np.where(np.random.default_rng(seed).random(X.shape) < share, np.nan, X)


def mixture(X):
    return GMM(2, missing="marginal", prior="default", n_init=5, random_state=0).fit(X)


def fill_columns(X):
    return np.where(np.isnan(X), np.nanmean(X, axis=0), X)


def filled(model, X):
    """X without gaps, by each method."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        regression = IterativeImputer(random_state=0).fit_transform(X)
    found = fill_columns(X), regression, model.impute(X, draws=True), model.impute(X)
    return dict(zip(COLOURS, found, strict=True))


def errors(whole, X, fillings):
    """The root mean squared error in the gaps, by method."""
    gaps = np.isnan(X)
    return {name: np.sqrt(np.mean((values - whole)[gaps] ** 2)) for name, values in fillings.items()}


def print_densities(whole, X, model):
    complete = np.count_nonzero(~np.isnan(X).any(axis=1))
    print(f"{np.isnan(X).mean():.0%} of the values are missing, and {complete} of {len(X)} rows are whole.")
    print("Mean log-density of the rows as they were, by a mixture of")
    print(f"  the rows as they were:             {mixture(whole).score(whole):8.3f}")
    print(f"  what is left of them:              {model.score(whole):8.3f}")
    print(f"  the rows with means of columns:    {mixture(fill_columns(X)).score(whole):8.3f}")


def print_fillings(whole, X, fillings):
    gaps = np.isnan(X)
    print("\nIn the gaps                    error    standard deviation")
    for name, error in errors(whole, X, fillings).items():
        print(f"  {name:<26} {error:8.3f} {fillings[name][gaps].std():8.3f}")
    print(f"  {'what was there':<26} {0:8.3f} {whole[gaps].std():8.3f}")
    print("Means are nearest to what was there; draws vary as it did.")


def draw(whole, X, fillings, by_share, path):
    """What was cut out beside what is put there; and the errors over the share that is missing."""
    figure, ((left, right),) = panels(1, 2, (5.2, 4.2))
    gaps, limits = np.isnan(X), (-2.5, 5)
    for name in ("means of columns", "mixture, means"):
        left.plot(whole[gaps], fillings[name][gaps], ".", label=name, color=COLOURS[name], markersize=4, alpha=0.5)
    left.plot(limits, limits, color="black", linewidth=1)
    left.set(xlim=limits, ylim=limits, xlabel="what was there", ylabel="what is put there")
    left.set_title(f"{SHARE:.0%} missing; in standard deviations")
    left.legend(loc="upper left", markerscale=3)
    for name, colour in COLOURS.items():
        right.plot(SHARES, [found[name] for found in by_share], "o-", label=name, color=colour, markersize=4)
    right.set(xlabel="share missing", ylabel="root mean squared error", ylim=(0, 1.1), title="Error in the gaps")
    right.legend(loc="lower right")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    whole = tumours()
    X = cut(whole, SHARE)
    model = mixture(X)
    fillings = filled(model, X)
    print_densities(whole, X, model)
    print_fillings(whole, X, fillings)
    holed = [cut(whole, share) for share in SHARES]
    draw(whole, X, fillings, [errors(whole, Y, filled(mixture(Y), Y)) for Y in holed], folder / "missing_values.png")


if __name__ == "__main__":
    main()
