"""Why a mixture is fitted more than once.

EM climbs to the nearest optimum, which need not be the best. Two samples of the same three groups, and in each
three rows to start from: one start finds the groups, the other puts two components into one group and spreads the
third over the other two, and no iteration leads out of there. `n_init` starts again elsewhere, and keeps the best.

    python examples/restarts.py --output FOLDER
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from _common import COLOURS, Snapshots, agreement, output_folder, panels, save
from cgmm import GMM, plot

SEEDS = (1, 78)
SHOWN = (1, 5, 20, 121)
WEIGHTS = (0.4, 0.35, 0.25)
MEANS = ((-2, -1), (1.5, 0.7), (0, 2.5))
COVARIANCES = ([[0.6, 0.2], [0.2, 0.5]], [[0.5, -0.1], [-0.1, 0.4]], [[0.3, 0], [0, 0.8]])


def three_groups(seed, n=800):
    """Rows (n,2), the group of each, and three rows to start from."""
    random = np.random.RandomState(seed)
    z = np.sort(random.choice(np.arange(3), size=n, p=WEIGHTS))
    X = np.concatenate([random.multivariate_normal(MEANS[c], COVARIANCES[c], size=np.sum(z == c)) for c in range(3)])
    return X, z, X[random.choice(n, 3, replace=False)]


def fit_from(means, X, callback):
    """EM from these means, with equal weights and the covariance of all rows for each component."""
    precision = np.linalg.inv(np.cov(X.T))
    model = GMM(
        3,
        weights_init=np.full(3, 1 / 3),
        means_init=means,
        precisions_init=[precision] * 3,
        tol=0,
        reg_covar=0,
        max_iter=200,
        callback=callback,
    )
    return model.fit(X)


def fit_often(X, n_init, seed=0):
    return GMM(3, n_init=n_init, tol=1e-8, reg_covar=0, max_iter=1000, random_state=seed).fit(X)


def single_starts(X, number=20):
    """Where starts from random rows end: log-likelihoods, in rising order."""
    fits = [
        GMM(3, init_params="random_from_data", tol=1e-8, reg_covar=0, max_iter=2000, random_state=seed).fit(X)
        for seed in range(number)
    ]
    return np.sort([model.score(X) * len(X) for model in fits])


def print_sample(seed, X, z, one, best):
    ends = single_starts(X)
    reached = np.sum(ends > best.score(X) * len(X) - 0.1)
    print(f"Sample of seed {seed}:")
    for name, model in (("from three rows", one), ("best of n_init=10", best)):
        right = agreement(model.predict(X), z)
        print(f"  {name:18} log-likelihood {model.score(X) * len(X):9.2f}, {right:.1%} of the rows in their own group")
    gain = (best.score(X) - one.score(X)) * len(X)
    print("  the same optimum" if abs(gain) < 0.1 else f"  n_init gains {gain:.1f} nats")
    print(f"  {reached} of {len(ends)} single starts from random rows end there; the worst at {ends[0]:.2f}")


def draw(fits, path):
    """A row of pictures for each sample: iterations of the one start, and the best of many."""
    figure, axes = panels(len(fits), len(SHOWN) + 1, (3.1, 3.2), sharex=True, sharey=True)
    for seed, row, (X, snapshots, best) in zip(SEEDS, axes, fits, strict=True):
        row[0].set_ylabel(f"sample of seed {seed}")
        for ax, (iteration, model) in zip(row, snapshots.items(), strict=False):
            draw_mixture(ax, model, X, f"iteration {iteration}")
        draw_mixture(row[-1], best, X, "best of n_init=10", like=snapshots[SHOWN[-1]])
    save(figure, path)


def draw_mixture(ax, model, X, title, like=None):
    """Components in the colours of those of another model that are nearest: each fit numbers them in its own order."""
    nearest = range(3) if like is None else linear_sum_assignment(cdist(model.means_, like.means_))[1]
    ax.scatter(*X.T, s=4, color="0.75", linewidths=0)
    plot.contours(model, ax=ax, of="components", colors=[COLOURS[c] for c in nearest])
    plot.means(model, ax=ax)
    ax.label_outer()
    ax.set_title(f"{title}:\nlog-likelihood {model.score(X) * len(X):.1f}")


def main(argv=None):
    folder = output_folder(argv, __doc__)
    print("800 rows of three groups that touch. EM from three of the rows, 121 iterations, and n_init=10:\n")
    fits = []
    for seed in SEEDS:
        X, z, means = three_groups(seed)
        snapshots, best = Snapshots(*SHOWN), fit_often(X, n_init=10)
        print_sample(seed, X, z, fit_from(means, X, snapshots), best)
        fits.append((X, snapshots, best))
    draw(fits, folder / "restarts.png")


if __name__ == "__main__":
    main()
