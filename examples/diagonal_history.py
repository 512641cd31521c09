"""A mixture with diagonal covariances, watched while it is fitted.

What EM says of itself: the log-likelihood of every iteration, when and why it stopped, how sure it is of each row,
and what becomes of a component that starts so far away that no row belongs to it.

    python examples/diagonal_history.py --output FOLDER
"""

import warnings

import numpy as np

from _common import agreement, numbers, output_folder, panels, save
from cgmm import GMM, DegenerateWarning, plot

CENTRES = ((0, 0), (5, 1), (2, 5))
DEVIATIONS = ((0.6, 1.6), (1.5, 0.5), (1.0, 1.0))
COUNTS = (250, 150, 100)


def three_clusters():
    """Rows (500,2) of three clusters that lie along the axes, and the cluster of each."""
    random = np.random.RandomState(4)
    z = np.repeat(np.arange(3), COUNTS)
    return random.randn(len(z), 2) * np.array(DEVIATIONS)[z] + np.array(CENTRES)[z], z


def fit(X, **settings):
    """Three components, begun about three rows; until a row's mean log-likelihood gains less than 1e-5."""
    model = GMM(
        3, covariance_type="diag", init_params="random_from_data", tol=1e-5, max_iter=500, random_state=0, **settings
    )
    return model.fit(X)


def fit_with_one_lost(X):
    """The same from means of which one is 10,000 away; and the warning that it gives."""
    means = [X.mean(axis=0) - 1, X.mean(axis=0) + 1, (1e4, 1e4)]
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        model = fit(X, means_init=means, precisions_init=np.ones((3, 2)))
    return model, next(str(w.message) for w in caught if w.category is DegenerateWarning)


def print_fit(model, X, z):
    gains = np.diff(model.lower_bounds_)
    print(f"\nEach of the {model.n_iter_} iterations raised it; the last gained {gains[-1]:.1e}, less than tol.")
    print(f"{agreement(model.predict(X), z):.1%} of the rows are labelled as they were drawn. Components:")
    for c in np.argsort(-model.weights_):
        deviations = np.sqrt(model.covariances_[c])
        mean, deviations = numbers(model.means_[c], 2), numbers(deviations, 2)
        print(f"  weight {model.weights_[c]:.3f}, mean {mean}, standard deviations {deviations}")
    responsibilities = model.predict_proba(X)
    doubtful = responsibilities.max(axis=1).argmin()
    print(f"Responsibilities of the most doubtful row, {X[doubtful].round(2)}:", numbers(responsibilities[doubtful], 2))


def draw(model, X, path):
    """The rows as they come; by component, with the means; and the log-likelihood of each iteration."""
    figure, axes = panels(1, 3, (4.4, 3.8))
    rows, found, history = axes[0]
    rows.scatter(*X.T, s=9, color="0.4", linewidths=0)
    rows.set_title("What is known: the rows")
    plot.scatter(model, X, ax=found)
    plot.ellipses(model, ax=found)
    plot.means(model, ax=found)
    found.set_title("What is found: three components")
    plot.history(model, ax=history)
    history.set_title("On the way: never downhill")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, z = three_clusters()
    model = fit(X, verbose=2, verbose_interval=5)
    print_fit(model, X, z)

    found, message = fit_with_one_lost(X)
    print("\nThe same with a mean 10,000 away, where to a computer the density of every row is zero:")
    print(f"  DegenerateWarning: {message.partition('.')[0]}.")
    print(
        f"  log-likelihood {found.lower_bound_:.5f} a row, and {model.lower_bound_:.5f} above: nothing is NaN, or lost."
    )
    draw(model, X, folder / "diagonal_history.png")


if __name__ == "__main__":
    main()
