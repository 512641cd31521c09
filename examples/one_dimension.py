"""EM in one dimension, step by step.

First the arithmetic of one iteration, with numbers small enough to follow by hand: six numbers, then six points of
the plane. Then a whole fit: 600 numbers from two overlapping groups, thirteen iterations from a start that is wrong,
drawn as the two components find their groups.

    python examples/one_dimension.py --output FOLDER
"""

import numpy as np

from _common import Snapshots, numbers, output_folder, panels, save
from cgmm import GMM, expectation, plot

SHOWN = (1, 3, 6, 13)
TRUE_WEIGHTS, TRUE_MEANS, TRUE_DEVIATIONS = np.array([0.65, 0.35]), np.array([-1.2, 1.8]), np.array([0.45, 0.7])


def six_numbers():
    """Rows (6,1), and the weights, means and covariances before the iteration."""
    X = np.array([-2, -1, -0.5, 1, 2, 3])[:, np.newaxis]
    return X, ([0.5, 0.5], np.array([[-1.0], [2.0]]), np.ones((2, 1, 1)))


def six_points():
    X = np.array([[0.0, 0], [1, 0], [0, 1], [4, 4], [5, 4], [4, 5]])
    return X, ([0.5, 0.5], np.array([[0.0, 0], [4, 4]]), np.array([np.eye(2), np.eye(2)]))


def two_groups():
    """600 rows of two groups, and a start: two of the rows as means, the variance of all for both."""
    random = np.random.RandomState(0)
    z = random.choice([0, 1], size=600, p=TRUE_WEIGHTS)
    y = random.randn(600) * TRUE_DEVIATIONS[z] + TRUE_MEANS[z]
    means = random.choice(y, 2, replace=False)
    return y[:, np.newaxis], ([0.5, 0.5], means[:, np.newaxis], np.full((2, 1, 1), y.var()))


def fit(X, start, callback):
    """EM from a given start, exactly as in the textbook, until the callback ends it."""
    weights, means, covariances = start
    model = GMM(
        2,
        weights_init=weights,
        means_init=means,
        precisions_init=np.linalg.inv(covariances),
        tol=0,
        reg_covar=0,
        callback=callback,
    )
    return model.fit(X)


def print_iteration(X, start):
    """The E-step and the M-step of one iteration, in numbers."""
    before = GMM.from_parameters(*start)
    after = fit(X, start, Snapshots(1))
    for c, responsibilities in enumerate(before.predict_proba(X).T, start=1):
        print(f"  E-step: responsibilities of component {c}:", numbers(responsibilities, 6))
    print("          effective counts n_k:            ", numbers(expectation(before, X).n_k, 6))
    print("  M-step: weights n_k / n:                 ", numbers(after.weights_, 6))
    for c, (mean, covariance) in enumerate(zip(after.means_, after.covariances_, strict=True), start=1):
        print(f"          component {c}: mean", numbers(mean, 6), "  (co)variance", numbers(covariance.ravel(), 6))
    print(f"  log-likelihood {before.score(X) * len(X):.4f} → {after.score(X) * len(X):.4f}: it can only rise\n")


def print_fit(model, X):
    print("600 numbers of two groups, thirteen iterations:")
    print(f"{'iteration':>12}  log-likelihood")
    for iteration in SHOWN:
        print(f"{iteration:12}  {model.lower_bounds_[iteration - 1] * len(X):.4f}")
    order = np.argsort(model.means_[:, 0])
    deviations = np.sqrt(model.covariances_[order, 0, 0])
    print("  weights:            ", numbers(model.weights_[order]), "  drawn with", numbers(TRUE_WEIGHTS, 2))
    print("  means:              ", numbers(model.means_[order, 0]), "  drawn with", numbers(TRUE_MEANS, 2))
    print("  standard deviations:", numbers(deviations), "  drawn with", numbers(TRUE_DEVIATIONS, 2))
    print("The start had both components as wide as all the data; the fit has told the groups apart.")


def draw(snapshots, X, path):
    figure, axes = panels(2, 2, (5.2, 3.4), sharex=True, sharey=True)
    for ax, (iteration, model) in zip(axes.flat, snapshots.items(), strict=True):
        ax.set(title=f"after iteration {iteration}", xlabel="value")
        plot.density(model, X, bins=50, responsibilities=True, legend=iteration == SHOWN[0], ax=ax)
        ax.label_outer()  # responsibilities keep their own axis at the right of each
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    print("Six numbers, −2 −1 −0.5 1 2 3; components at −1 and 2, of variance 1 and weight ½:")
    print_iteration(*six_numbers())
    print("Six points in two corners of the plane; components at (0, 0) and (4, 4), covariance I:")
    print_iteration(*six_points())

    X, start = two_groups()
    snapshots = Snapshots(*SHOWN)
    print_fit(fit(X, start, snapshots), X)
    draw(snapshots, X, folder / "one_dimension.png")


if __name__ == "__main__":
    main()
