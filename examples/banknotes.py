"""Genuine or counterfeit: the discriminant analyses of mclust's vignette.

200 old Swiss banknotes of 1000 francs, half of them counterfeit, of which six lengths in millimetres are known (Flury
and Riedwyl, Multivariate Statistics: a practical approach, Chapman and Hall 1988, Tables 1.1 and 1.2). The classes may
share volume, shape or axes (mclust's EDDA), or each may be a mixture (MclustDA): the counterfeits are of two groups.

    python examples/banknotes.py --output FOLDER
"""

from pathlib import Path

import numpy as np

from _common import BLUE, RED, output_folder, panels, save
from cgmm import GMMClassifier, plot

DATA = Path(__file__).parent / "data" / "banknote.csv"
FAMILIES = ["EII", "VII", "EEI", "VEI", "EVI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV"]
EXACT = {"reg_covar": 0, "tol": 1e-8, "random_state": 0}  # as mclust, which adds nothing to covariances
FOLDS = 10


def banknotes():
    """Six lengths of each note (200,6), their names, and whether the note is genuine or counterfeit."""
    table = np.genfromtxt(DATA, delimiter=",", dtype=str)
    return table[1:, 1:].astype(float), table[0, 1:].tolist(), table[1:, 0]


def models(X, y):
    """MclustDA(X, y, modelType = "EDDA"), and MclustDA(X, y) with up to three components of each class."""
    return {
        "classes of one family": GMMClassifier(1, FAMILIES, **EXACT).fit(X, y),
        "a mixture of each class": GMMClassifier(range(1, 4), FAMILIES, shared=False, **EXACT).fit(X, y),
    }


def left_out(model, X, y):
    """The share of notes that are misjudged when others were learnt, of the families that were chosen of all."""
    sizes = [mixture.n_components for mixture in model.mixtures_]
    families = [mixture.covariance_type for mixture in model.mixtures_]
    fold, wrong = np.random.default_rng(0).permutation(len(X)) % FOLDS, 0
    for out in (fold == number for number in range(FOLDS)):
        if len(set(families)) == len(set(sizes)) == 1:
            shared = len(model.component_classes_) == len(model.classes_)
            learnt = GMMClassifier(sizes[0], families[0], shared, **EXACT).fit(X[~out], y[~out])
        else:
            parts = [
                GMMClassifier(k, family, False, **EXACT).fit(X[~out & (y == label)], y[~out & (y == label)]).mixture_
                for k, family, label in zip(sizes, families, model.classes_, strict=True)
            ]
            learnt = GMMClassifier.from_mixtures(parts, model.classes_)
        wrong += np.sum(learnt.predict(X[out]) != y[out])
    return wrong / len(X)


def print_models(found, X, y):
    for name, model in found.items():
        told = [f"{mixture.covariance_type}, {mixture.n_components}" for mixture in model.mixtures_]
        print(f"{name}:")
        for label, mixture in zip(model.classes_, told, strict=True):
            print(f"  {label:12}{mixture}")
        print(f"  BIC {model.bic(X):.2f}, {100 * (1 - model.score(X, y)):.1f}% misjudged, ", end="")
        print(f"{100 * left_out(model, X, y):.1f}% of those left out")


def draw(found, X, y, names, path):
    """The two lengths that differ most, the classes' ellipses beside the notes."""
    figure, axes = panels(1, len(found), (4.6, 4.2), sharex=True, sharey=True)
    shown = [names.index("Bottom"), names.index("Diagonal")]
    for ax, (name, model) in zip(axes[0], found.items(), strict=True):
        for label, colour in zip(model.classes_, (RED, BLUE), strict=True):
            ax.scatter(*X[y == label][:, shown].T, s=8, color=colour, label=label, linewidths=0)
        colours = np.where(model.component_classes_ == model.classes_[0], RED, BLUE)
        plot.ellipses(model.mixture_, ax=ax, features=shown, colors=colours)
        ax.set(title=name, xlabel="Bottom margin (mm)", ylabel="Diagonal (mm)")
    axes[0, 0].legend(frameon=False)
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, names, y = banknotes()
    found = models(X, y)
    print_models(found, X, y)
    draw(found, X, y, names, folder / "banknotes.png")


if __name__ == "__main__":
    main()
