"""Clusters in a cloud of noise.

Three clusters, and a third of the rows anywhere. A component of constant density keeps the noise out of the clusters;
without one the components are blown up by it. The component of one row in a hundred may be known, too: then the
components are numbered as those are.

    python examples/noise.py --output FOLDER
"""

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from _common import BLUE, GREEN, ORANGE, output_folder, panels, save
from cgmm import GMM

CENTRES = np.array([[0.0, 0.0], [7.0, 1.0], [2.0, 7.0]])
ROWS, NOISE = 900, 450
COLOURS = np.array([BLUE, ORANGE, GREEN, "#9a9a9a"])  # the last is the noise's, whose label is −1


def cloud(seed=0):
    """Rows of three clusters and of noise, and which they are of: −1 is the noise."""
    rng = np.random.default_rng(seed)
    own = np.append(np.arange(ROWS) % 3, np.full(NOISE, -1))
    shapes = np.array([[[1.0, 0.0], [0.5, 0.8]], [[0.6, 0.0], [-0.4, 1.1]], [[1.2, 0.0], [0.0, 0.5]]])
    clusters = CENTRES[own[:ROWS]] + np.einsum("nij,nj->ni", shapes[own[:ROWS]], rng.normal(size=(ROWS, 2)))
    return np.vstack([clusters, rng.uniform([-10, -10], [18, 18], size=(NOISE, 2))]), own


def fits(X, own):
    """A fit without noise, one with it, and one that also knows the component of one row in a hundred."""
    known = np.where((np.arange(len(X)) % 100 == 0) & (own >= 0), own, -1)
    arguments = {"random_state": 0, "n_init": 5, "tol": 1e-6, "max_iter": 500}
    noisy = {**arguments, "noise_component": "uniform"}
    return {
        "no noise component": GMM(3, **arguments).fit(X),
        "noise component": GMM(3, **noisy).fit(X),
        "and some known rows": GMM(3, **noisy).fit(X, labels=known),
    }


def error_of(model):
    """The largest distance of a true centre from the nearest mean."""
    return np.linalg.norm(CENTRES[:, np.newaxis] - model.means_, axis=2).min(axis=1).max()


def print_fits(models, X, own):
    print(f"{ROWS} rows of clusters, {NOISE} of noise\n")
    print(f"{'':22}{'noise':>8}{'found':>8}{'error':>8}")
    for name, model in models.items():
        found = np.mean(model.predict(X)[own < 0] < 0)
        print(f"{name:22}{model.noise_weight_:8.3f}{found:8.3f}{error_of(model):8.3f}")
    print("\nnoise: its weight; found: the share of the noise that is taken for it; error: of the means")


def draw(models, X, path):
    figure, axes = panels(1, len(models), (4.2, 4.4), sharex=True, sharey=True)
    for ax, (name, model) in zip(axes[0], models.items(), strict=True):
        own = linear_sum_assignment(cdist(model.means_, CENTRES))[1]  # a cluster has one colour in all pictures
        ax.scatter(*X.T, s=6, c=COLOURS[np.append(own, -1)[model.predict(X)]], linewidths=0)
        circle = np.linspace(0, 2 * np.pi, 100)
        for mean, covariance in zip(model.means_, model.covariances_, strict=True):
            ellipse = mean[:, np.newaxis] + 2 * np.linalg.cholesky(covariance) @ [np.cos(circle), np.sin(circle)]
            ax.plot(*ellipse, color="#222222", linewidth=1.4)
        ax.set_title(name)
        ax.set_aspect("equal")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, own = cloud()
    models = fits(X, own)
    print_fits(models, X, own)
    draw(models, X, folder / "noise.png")


if __name__ == "__main__":
    main()
