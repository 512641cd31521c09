"""How many kinds of eruption has the Old Faithful geyser?

Fits Gaussian mixtures of one to four components and four covariance families to 272 eruptions (minutes long, and
minutes until the next; Azzalini and Bowman 1990), chooses by BIC, prints the parameters, and draws a picture when
matplotlib is installed.

    python examples/old_faithful.py --output FOLDER
"""

import argparse
from pathlib import Path

import numpy as np

from cgmm import GMM
from cgmm.covariance import FAMILIES

DATA = Path(__file__).parent / "data" / "faithful.csv"
COMPONENTS = (1, 2, 3, 4)
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7")  # Okabe and Ito: told apart by colour-blind readers too
MARKERS = ("o", "s", "^", "D")
INK, FAINT = "#222222", "#757575"


def fit_all(X):
    """A converged model for each family and number of components."""
    return {
        (family, k): GMM(k, covariance_type=family, tol=1e-7, max_iter=2000, n_init=10, random_state=0).fit(X)
        for family in FAMILIES
        for k in COMPONENTS
    }


def matrices(model):
    """The covariance matrix (d,d) of each component, whatever the family."""
    return FAMILIES[model.covariance_type].expand(model.covariances_, *model.means_.shape)


def print_table(models, X):
    print(f"{'':12}" + "".join(f"{f'k = {k}':>20}" for k in COMPONENTS))
    print(f"{'family':12}" + f"{'log L':>10}{'BIC':>10}" * len(COMPONENTS))
    for family in FAMILIES:
        fits = [models[family, k] for k in COMPONENTS]
        print(f"{family:12}" + "".join(f"{m.score(X) * len(X):10.2f}{m.bic(X):10.2f}" for m in fits))


def print_parameters(model):
    """Components from the shortest eruptions to the longest."""
    covariances = matrices(model)
    for number, c in enumerate(np.argsort(model.means_[:, 0]), start=1):
        (length, wait), deviations = model.means_[c], np.sqrt(np.diag(covariances[c]))
        correlation = covariances[c][0, 1] / deviations.prod()
        print(
            f"  {number}: {model.weights_[c]:6.1%} of eruptions; {length:.2f} ± {deviations[0]:.2f} min long, "
            f"next after {wait:.1f} ± {deviations[1]:.1f} min, correlation {correlation:.2f}"
        )


def draw(models, best, X, path):
    """The rows with the best model's components, and the BIC of every model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    style = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False, "axes.edgecolor": FAINT}
    with plt.rc_context(style):
        figure, (left, right) = plt.subplots(
            1, 2, figsize=(12, 5.6), width_ratios=(1.6, 1), layout="constrained", facecolor="white"
        )
        draw_components(left, models[best], X)
        draw_criterion(right, models, best, X)
        figure.savefig(path, dpi=150)
        plt.close(figure)


def draw_components(axes, model, X):
    labels, covariances = model.predict(X), matrices(model)
    angles = np.linspace(0, 2 * np.pi, 200)
    circle = np.stack([np.cos(angles), np.sin(angles)])
    for number, c in enumerate(np.argsort(model.means_[:, 0])):
        colour, rows, mean = COLOURS[number], X[labels == c], model.means_[c]
        axes.scatter(*rows.T, s=26, marker=MARKERS[number], color=colour, alpha=0.55, linewidths=0)
        for share, fill in ((0.9, 0.08), (0.5, 0.16)):
            radius = np.sqrt(-2 * np.log(1 - share))  # of the χ² distribution with two degrees of freedom
            ellipse = mean[:, np.newaxis] + radius * np.linalg.cholesky(covariances[c]) @ circle
            axes.fill(*ellipse, color=colour, alpha=fill, linewidth=0)
            axes.plot(*ellipse, color=colour, linewidth=1.6)
        axes.plot(*mean, "P", markersize=13, color=INK, markeredgecolor="white", markeredgewidth=1.5)
        corner = mean + np.sqrt(np.diag(covariances[c])) * (1.6, -2.0)
        axes.text(*corner, f"{model.weights_[c]:.0%}", va="top", color=colour, fontsize=15, fontweight="bold")
    axes.set_xlabel("length of the eruption (minutes)")
    axes.set_ylabel("time until the next (minutes)")
    axes.margins(0.06)
    entitle(
        axes,
        f"{len(X)} eruptions of Old Faithful, {len(model.means_)} components",
        "crosses: means; ellipses: half and nine tenths of each component",
    )


def draw_criterion(axes, models, best, X):
    values = {family: [models[family, k].bic(X) for k in COMPONENTS] for family in FAMILIES}
    least = models[best].bic(X)
    top = least + 60  # what is above is hopeless: one component, and circles for data of such different scales
    for family, marker in zip(FAMILIES, MARKERS, strict=True):
        chosen = family == best[0]
        colour = INK if chosen else FAINT
        axes.plot(
            COMPONENTS, values[family], marker=marker, color=colour, markersize=7, linewidth=2.4 if chosen else 1.4
        )
        if values[family][-1] < top:
            axes.annotate(
                family, (COMPONENTS[-1], values[family][-1]), (10, 0), textcoords="offset points", va="center",
                color=colour, fontweight="bold" if chosen else "normal",
            )  # fmt: skip
    axes.plot(best[1], least, "o", markersize=19, markerfacecolor="none", markeredgecolor=INK, markeredgewidth=1.8)
    axes.annotate(
        f"{best[0]}, k = {best[1]}: {least:.0f}", (best[1], least), (0, -18), textcoords="offset points",
        ha="center", va="top", color=INK, fontweight="bold",
    )  # fmt: skip
    axes.set_ylim(least - 8, top)
    axes.set_xlim(1.6, COMPONENTS[-1] + 0.5)
    axes.set_xticks([k for k in COMPONENTS if k > 1])
    axes.set_xlabel("components k")
    axes.set_ylabel("BIC")
    hidden = min(bic for fits in values.values() for bic in fits if bic > top)
    entitle(axes, "Which model? The smallest BIC", f"not shown: k = 1 and spherical, at {hidden:.0f} and above")


def entitle(axes, title, subtitle):
    axes.set_title(f"{title}\n", loc="left", fontsize=14, color=INK)
    axes.text(0, 1.02, subtitle, transform=axes.transAxes, color=FAINT, fontsize=10.5)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(), help="folder of the picture; default: the current")
    folder = parser.parse_args(argv).output
    X = np.loadtxt(DATA, delimiter=",", skiprows=1)
    models = fit_all(X)
    best = min(models, key=lambda name: models[name].bic(X))

    print(f"Old Faithful: {len(X)} eruptions. Log-likelihood and BIC (smaller is better):\n")
    print_table(models, X)
    print(f"\nSmallest BIC: {best[0]} covariance, {best[1]} components (mean ± standard deviation):")
    print_parameters(models[best])

    path = folder / "old_faithful.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw(models, best, X, path)
    except ImportError:
        print("\nmatplotlib is not installed: no picture drawn.")
    else:
        print(f"\nPicture: {path}")


if __name__ == "__main__":
    main()
