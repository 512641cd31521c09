"""k-means or a mixture?

k-means parts the rows by distance to a centre. Where clusters are not spherical that is the wrong question, and more
starts do not help: the best answer to it is as wrong. Where the number of clusters is too large for one start to
place its centres well, more starts do help.

    python examples/kmeans_or_mixture.py --output FOLDER
"""

import numpy as np

from _common import COLOURS, agreement, output_folder, panels, save
from cgmm import GMM, kmeans

CLASS_MEANS = 2 * np.array([[-1, 1, 2], [1, -1, 2]])


def classes(random, n, A):
    """Rows (n,2), A z + the mean of the row's class with z standard normal; and the classes."""
    X, y = np.empty((n, 2)), np.empty(n, dtype=int)
    for i in range(n):
        y[i] = random.choice(3, 1)[0]
        X[i] = A @ random.randn(2) + CLASS_MEANS[:, y[i]]
    return X, y


def stretched():
    """Three stretched clusters and three centres near the middle."""
    random = np.random.RandomState(7)
    X, y = classes(random, 1000, 1.4 * random.randn(2, 2))
    return X, y, middle(random, X, 3)


def crowded():
    """Three round clusters, to be parted into six, from six centres near the middle."""
    random = np.random.RandomState(6)
    X, _ = classes(random, 1000, np.eye(2))
    return X, middle(random, X, 6)


def middle(random, X, k):
    return X.mean(axis=0) + 0.01 * random.randn(2, k).T


def print_stretched(X, y, one, best, model):
    print("Three stretched clusters of 1,000 rows:")
    print("  k-means from the middle, objective by iteration:", " ".join(f"{v:.2f}" for v in one.inertia_history))
    print(f"    the best of 50 starts ends at {best.inertia:.2f}: the start was not at fault")
    print(f"    rows in their own cluster: {agreement(best.labels, y):.1%}")
    print(f"  mixture, of one covariance in common: {agreement(model.predict(X), y):.1%} in their own cluster")


def print_crowded(one, best):
    print("\nThree round clusters of 1,000 rows, parted into six:")
    print(f"  k-means from the middle: {one.inertia:.2f} after {one.n_iter} iterations")
    print(f"  the best of 50 starts:   {best.inertia:.2f}, {1 - best.inertia / one.inertia:.1%} less: restarts help")


def draw(panes, path):
    """Panes of rows, their labels, centres and title; clusters coloured from the lowest to the highest."""
    figure, axes = panels(2, 2, (4.8, 3.2), sharex="row", sharey="row")
    for ax, (X, labels, centres, title) in zip(axes.flat, panes, strict=True):
        colours = np.take(COLOURS, centres[:, 1].argsort().argsort())
        ax.scatter(*X.T, s=7, c=colours[labels], linewidths=0, alpha=0.7)
        ax.scatter(*centres.T, s=110, marker="P", color="black", edgecolors="white")
        ax.set(title=title, xlabel="feature 0", aspect="equal")
    for ax in axes[:, 0]:
        ax.set_ylabel("feature 1")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, y, centres = stretched()
    one = kmeans(X, 3, init=centres, max_iter=9, tol=0)
    best = kmeans(X, 3, n_init=50, random_state=0)
    model = GMM(3, covariance_type="tied", n_init=10, random_state=0).fit(X)
    print_stretched(X, y, one, best, model)

    Z, centres = crowded()
    poor = kmeans(Z, 6, init=centres, max_iter=30, tol=0)
    good = kmeans(Z, 6, n_init=50, random_state=0)
    print_crowded(poor, good)
    panes = [
        (X, best.labels, best.centers, f"k-means: {agreement(best.labels, y):.1%} of rows in their own cluster"),
        (
            X,
            model.predict(X),
            model.means_,
            f"mixture: {agreement(model.predict(X), y):.1%} of rows in their own cluster",
        ),
        (Z, poor.labels, poor.centers, f"six clusters, one start: squared distances {poor.inertia:.0f}"),
        (Z, good.labels, good.centers, f"best of 50 starts: squared distances {good.inertia:.0f}"),
    ]
    draw(panes, folder / "kmeans_or_mixture.png")


if __name__ == "__main__":
    main()
