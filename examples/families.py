"""Fourteen families of covariances.

Three clusters have the same shape, and differ in volume and direction. Each family is fitted from the same start: what
its name says is equal (E) is the same for all three ellipses, and what varies (V) is each ellipse's own, in the order
volume, shape, axes. The BIC weighs the log-likelihood against the number of parameters, and finds the family VEV, of
which the rows are drawn.

    python examples/families.py --output FOLDER
"""

import numpy as np

from _common import output_folder, panels, save
from cgmm import GMM, plot

FAMILIES = ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]
CENTRES = np.array([[0.0, 0.0], [4.5, 0.5], [1.0, 5.0]])
VARIANCES = np.array([[1.2, 0.2], [0.45, 0.075], [2.4, 0.4]])
ANGLES = np.radians([20, 80, 140])


def sample():
    """900 rows of three clusters, and the label of each."""
    rng = np.random.default_rng(0)
    labels = np.repeat(np.arange(3), 300)
    axes = np.array([[[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]] for a in ANGLES])
    mixing = axes * np.sqrt(VARIANCES)[:, None, :]
    return CENTRES[labels] + np.einsum("nij,nj->ni", mixing[labels], rng.standard_normal((900, 2))), labels


def fits(X, labels):
    """A mixture of each family, all from one start."""
    start = np.eye(3)[labels]
    models = (
        GMM(3, covariance_type=family, responsibilities_init=start, tol=1e-8, max_iter=500) for family in FAMILIES
    )
    return dict(zip(FAMILIES, (model.fit(X) for model in models), strict=True))


def print_fits(models, X):
    print("family  log-likelihood  parameters       BIC")
    for family, model in models.items():
        log_likelihood = model.score(X) * len(X)
        parameters = round((model.bic(X) + 2 * log_likelihood) / np.log(len(X)))
        print(f"{family:6s}  {log_likelihood:14.1f}  {parameters:10d}  {model.bic(X):8.1f}")
    print("The smallest BIC has", min(models, key=lambda family: models[family].bic(X)))


def draw(models, X, path):
    figure, axes = panels(3, 5, (2.5, 2.6), sharex=True, sharey=True)
    for ax, (family, model) in zip(axes.flat, models.items(), strict=False):
        plot.scatter(model, X, ax=ax, s=3, alpha=0.3)
        plot.ellipses(model, ax=ax)
        ax.set_title(f"{family}: BIC {model.bic(X):.0f}", fontsize=10)
        ax.set_aspect("equal")
        ax.set(xlabel="", ylabel="")
        ax.label_outer(remove_inner_ticks=True)
    for ax in axes.flat[len(models) :]:
        ax.remove()
    figure.suptitle("Fourteen families; ellipses hold 50% and 90% of a component")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, labels = sample()
    models = fits(X, labels)
    print_fits(models, X)
    draw(models, X, folder / "families.png")


if __name__ == "__main__":
    main()
