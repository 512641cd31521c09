"""A mixture of which only means and weights are learnt.

Every covariance is fixed at the identity. Means start almost in one place, at the middle of the rows, and part within
five iterations. The colours of the components are mixed in each row by its responsibilities: the rows are alike at
first, and at the end only those between two components are doubtful.

    python examples/unit_variance.py --output FOLDER
"""

import numpy as np

from _common import Snapshots, numbers, output_folder, panels, save
from cgmm import GMM, plot

CLASS_MEANS = 2 * np.array([[-1, 1, 2], [1, -1, 2]])
SHOWN = (1, 2, 3, 5)


def sample_and_start():
    """300 rows of three classes with unit variances, and the means (3,2) to start from."""
    random = np.random.RandomState(1)
    X = np.empty((300, 2))
    for i in range(len(X)):
        y = random.choice(3, 1)
        X[i] = (random.randn(2, 1) + CLASS_MEANS[:, y])[:, 0]
    return X, X.mean(axis=0) + 0.01 * X.std(axis=0) * random.randn(2, 3).T


def fit(X, means, callback):
    """Means and weights learn; the covariances stay at the inverse of precisions_init."""
    model = GMM(
        3,
        weights_init=np.full(3, 1 / 3),
        means_init=means,
        precisions_init=[np.eye(2)] * 3,
        fixed=("covariances",),
        tol=0,
        reg_covar=0,
        callback=callback,
    )
    return model.fit(X)


def print_fit(model, X):
    print("Log-likelihood before each M-step:")
    for iteration, mean in enumerate(model.lower_bounds_, start=1):
        print(f"  iteration {iteration}: {mean * len(X):.7f}")
    print("At the end:")
    for c, mean in enumerate(model.means_):
        nearest = np.abs(CLASS_MEANS.T - mean).sum(axis=1).argmin()
        print(f"  mean {numbers(mean)}, drawn about {CLASS_MEANS.T[nearest]}; weight {model.weights_[c]:.3f}")
    kept = all(np.array_equal(covariance, np.eye(2)) for covariance in model.covariances_)
    print("Every covariance is the identity, to the bit:", kept)


def print_far_away():
    """Densities that underflow: the logarithms are added, never the densities."""
    model = GMM.from_parameters([0.5, 0.5], [[-1.0], [1.0]], np.ones((2, 1, 1)))
    far = model.predict_proba([[0.0], [60.0]])
    log_density = model.score_samples([[60.0]])[0]
    print(f"\nA row 60 deviations away has log-density {log_density:.1f}, of which exp is {np.exp(log_density):.0f};")
    print(f"its responsibilities are {far[1].round(4)} all the same, and half each, {far[0]}, in the middle.")


def draw(snapshots, X, path):
    figure, axes = panels(1, len(SHOWN), (3.4, 3.5), sharex=True, sharey=True)
    for ax, (iteration, model) in zip(axes[0], snapshots.items(), strict=True):
        plot.scatter(model, X, ax=ax, by="responsibility")
        plot.ellipses(model, ax=ax)
        plot.means(model, ax=ax)
        ax.set_title(f"after iteration {iteration}")
        ax.label_outer()
    plot.legend(model, ax=ax, loc="lower left")
    figure.suptitle("Rows in the colours of their responsibilities; ellipses hold 50% and 90% of a component")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, means = sample_and_start()
    snapshots = Snapshots(*SHOWN)
    print_fit(fit(X, means, snapshots), X)
    print_far_away()
    draw(snapshots, X, folder / "unit_variance.png")


if __name__ == "__main__":
    main()
