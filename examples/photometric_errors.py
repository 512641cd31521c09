"""Colours of stars without the errors of their measurement.

Three kinds of stars lie along narrow bands in a plane of two colours. Each colour is a difference of magnitudes, two of
which share one filter: so errors are correlated, and those of faint stars are large. A mixture that knows the errors
finds the bands; one that does not finds them blurred. Given the mixture, the true colours of each star are known better
than they were measured.

    python examples/photometric_errors.py --output FOLDER
"""

import numpy as np

from _common import BLUE, GREEN, ORANGE, output_folder, panels, save
from cgmm import GMM

STARS = 3000
MEANS = np.array([[0.4, 0.1], [1.2, 0.5], [1.5, 1.3]])
SHAPES = np.array([[[0.16, 0.0], [0.06, 0.02]], [[0.15, 0.0], [0.07, 0.025]], [[0.03, 0.0], [0.01, 0.3]]])
COLOURS = np.array([BLUE, ORANGE, GREEN])


def stars(seed=0):
    """True colours (n,2) of stars, their kinds (n,), the colours as measured, and the covariances of their errors."""
    rng = np.random.default_rng(seed)
    kind = np.sort(rng.choice(3, size=STARS, p=[0.4, 0.35, 0.25]))
    truth = MEANS[kind] + np.einsum("nij,nj->ni", SHAPES[kind], rng.normal(size=(STARS, 2)))
    sigma = 0.02 * 10 ** (0.4 * rng.uniform(0, 2.5, size=(STARS, 1))) * [1.2, 1.0, 1.1]  # in g, r, i: faint stars more
    errors = sigma * rng.normal(size=(STARS, 3))
    measured = truth + np.stack([errors[:, 0] - errors[:, 1], errors[:, 1] - errors[:, 2]], axis=1)  # g − r, r − i
    g, r, i = np.square(sigma).T
    return truth, kind, measured, np.stack([g + r, -r, -r, r + i], axis=1).reshape(-1, 2, 2)


def fits(measured, S):
    """A fit that does not know the errors, and one that does."""
    arguments = {"random_state": 0, "n_init": 5, "tol": 1e-6, "max_iter": 2000, "reg_covar": 0, "accelerate": True}
    return {
        "errors ignored": GMM(3, **arguments).fit(measured),
        "errors known": GMM(3, **arguments).fit(measured, error_covariances=S),
    }


def width(model):
    """The geometric mean of the components' standard deviations along and across."""
    return np.exp(np.linalg.slogdet(model.covariances_)[1].mean() / 4)


def distance(rows, truth):
    """The root mean square of the distance from the true colours."""
    return np.sqrt(np.square(rows - truth).sum(axis=1).mean())


def print_fits(models, truth, measured, denoised):
    of_truth = np.exp(np.linalg.slogdet(SHAPES @ SHAPES.transpose(0, 2, 1))[1].mean() / 4)
    print(f"Width of a component: {of_truth:.3f} of the true colours")
    for name, model in models.items():
        print(f"{name:>21}: {width(model):.3f}")
    print("\nDistance from the true colours")
    for name, rows in {"as measured": measured, "denoised": denoised}.items():
        print(f"{name:>21}: {distance(rows, truth):.3f}")


def draw(models, truth, kind, measured, denoised, path):
    figure, axes = panels(1, 3, (4.2, 4.2), sharex=True, sharey=True)
    shown = {
        "as measured, errors ignored": (measured, models["errors ignored"]),
        "denoised, errors known": (denoised, models["errors known"]),
        "the true colours": (truth, None),
    }
    circle = np.linspace(0, 2 * np.pi, 100)
    for ax, (title, (rows, model)) in zip(axes[0], shown.items(), strict=True):
        ax.scatter(*rows.T, s=3, c=COLOURS[kind], alpha=0.5, linewidths=0)
        means, roots = (MEANS, SHAPES) if model is None else (model.means_, np.linalg.cholesky(model.covariances_))
        for mean, root in zip(means, roots, strict=True):
            ellipse = mean[:, np.newaxis] + 2 * root @ [np.cos(circle), np.sin(circle)]
            ax.plot(*ellipse, color="#222222", linewidth=1.4)
        ax.set_title(title)
        ax.set_xlabel("g − r")
    axes[0, 0].set_ylabel("r − i")
    axes[0, 0].set_xlim(-0.4, 2.2)
    axes[0, 0].set_ylim(-0.6, 2.4)
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    truth, kind, measured, S = stars()
    models = fits(measured, S)
    denoised = models["errors known"].denoise(measured, S)
    print_fits(models, truth, measured, denoised)
    draw(models, truth, kind, measured, denoised, folder / "photometric_errors.png")


if __name__ == "__main__":
    main()
