"""From lines to any shape: boundaries between classes.

Three classes of rows in two features, one of which consists of two clusters. Classes that share one covariance have
lines for boundaries (linear discriminant analysis); with a covariance each they have conics (quadratic); and a mixture
of each class follows any shape. Rows that no class explains are marked. Labels may be few: then the other rows help,
where the densities are about right.

    python examples/discriminant.py --output FOLDER
"""

import numpy as np

from _common import BLUE, GREEN, ORANGE, output_folder, panels, save
from cgmm import GMMClassifier

CLASSES, COLOURS = np.array(["crescent", "disc", "rod"]), np.array([BLUE, ORANGE, GREEN])
ROWS, LABELLED, STRAY = 300, 10, 12  # of a class; of these with a label; that belong to none
FAMILIES = ["EII", "EEE", "VEE", "EEV", "VEV", "VVV"]


def rows_of_classes(n=ROWS, seed=0):
    """Rows of each class, and their classes."""
    rng = np.random.default_rng(seed)
    angle = rng.choice([0.25, 0.75], size=n) * np.pi + 0.14 * np.pi * rng.normal(size=n)
    crescent = 4.4 * np.column_stack([np.cos(angle), np.sin(angle)]) + 0.45 * rng.normal(size=(n, 2))
    disc = 0.8 * rng.normal(size=(n, 2)) + [0, 1.3]
    rod = rng.normal(size=(n, 2)) * [2.2, 0.4] + [0, -1.6]
    return np.vstack([crescent, disc, rod]), np.repeat(CLASSES, n)


def models(X, y):
    """Classifiers, from the most rigid on."""
    return {
        "linear (EEE)": GMMClassifier(covariance_type="EEE").fit(X, y),
        "quadratic (VVV)": GMMClassifier(covariance_type="VVV").fit(X, y),
        "a mixture of each class": GMMClassifier(range(1, 5), FAMILIES, random_state=0).fit(X, y),
    }


def few_labels(X, y):
    """Errors on fresh rows when few labels are known, without and with the other rows."""
    rng, known = np.random.default_rng(3), np.zeros(len(X), dtype=bool)
    for label in CLASSES:
        known[rng.choice(np.flatnonzero(y == label), LABELLED, replace=False)] = True
    fresh, truth = rows_of_classes(2000, seed=1)
    found = {}
    for name, k in (("quadratic", 1), ("two components of each", 2)):
        alone = GMMClassifier(k, random_state=0).fit(X[known], y[known])
        helped = GMMClassifier(k, unlabelled="", random_state=0).fit(X, np.where(known, y, ""))
        found[name] = [1 - model.score(fresh, truth) for model in (alone, helped)]
    return found


def print_models(found, errors):
    fresh, truth = rows_of_classes(2000, seed=1)
    print(f"{'':26}{'family':>8}{'components':>12}{'error':>8}")
    for name, model in found.items():
        families = {mixture.covariance_type for mixture in model.mixtures_}
        told = families.pop() if len(families) == 1 else "several"
        components = ", ".join(str(mixture.n_components) for mixture in model.mixtures_)
        print(f"{name:26}{told:>8}{components:>12}{1 - model.score(fresh, truth):8.3f}")
    print(f"\nErrors with {LABELLED} labels of each class, without and with the other rows:")
    for name, (alone, helped) in errors.items():
        print(f"{name:26}{alone:8.3f}{helped:8.3f}")


def draw(found, X, y, path):
    """Regions of the classes, darker where a class is sure, white where a row would belong to none; and strays."""
    figure, axes = panels(1, len(found), (3.6, 3.6), sharex=True, sharey=True)
    across, up = np.meshgrid(np.linspace(-8, 8, 320), np.linspace(-5, 8, 260))
    grid = np.column_stack([across.ravel(), up.ravel()])
    strays = np.random.default_rng(2).uniform([-7.5, -4.5], [7.5, 7.5], size=(STRAY, 2))
    tints = np.array([[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in COLOURS]) / 255
    for ax, (name, model) in zip(axes[0], found.items(), strict=True):
        shades = 1 - 0.45 * (model.predict_proba(grid) @ (1 - tints))
        shades[model.anomalies(grid, 0.001)] = 1
        ax.imshow(shades.reshape(*across.shape, 3), extent=(-8, 8, -5, 8), origin="lower", aspect="equal")
        ax.scatter(*X.T, s=3, c=COLOURS[np.searchsorted(CLASSES, y)], linewidths=0)
        none = model.anomalies(strays, 0.001)
        ax.scatter(*strays[none].T, s=40, c="black", marker="x", linewidths=1.2)
        ax.scatter(
            *strays[~none].T, s=40, c=COLOURS[np.searchsorted(CLASSES, model.predict(strays[~none]))], marker="x"
        )
        ax.set_title(name)
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, y = rows_of_classes()
    found = models(X, y)
    print_models(found, few_labels(X, y))
    draw(found, X, y, folder / "discriminant.png")


if __name__ == "__main__":
    main()
