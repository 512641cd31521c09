"""What a mixture says of clusters, and how sure it is.

Three of the analyses that users of mclust know. A wreath of fourteen clusters of one shape and many directions: BIC
finds the number and the family. Old Faithful: how far each parameter may be from the truth, by the bootstrap. Two
crescents: BIC takes several components for each, and merging those between which rows are unsure finds the two.

    python examples/clusters.py --output FOLDER
"""

from pathlib import Path

import numpy as np

from _common import BLUE, COLOURS, ORANGE, agreement, output_folder, panels, save
from cgmm import GMM, bootstrap, combine, plot, select

DATA = Path(__file__).parent / "data" / "faithful.csv"
CLUSTERS = 14


def wreath(n=1000, seed=0):
    """Rows of clusters along a circle, each long across it or along it, and which they are of."""
    rng = np.random.default_rng(seed)
    own = rng.integers(CLUSTERS, size=n)
    angle = 2 * np.pi * own / CLUSTERS
    tilt = angle + np.pi / 2 * (own % 2)
    long, short = rng.normal(0, 1.1, n), rng.normal(0, 0.22, n)
    X = 12 * np.column_stack([np.cos(angle), np.sin(angle)])
    X += np.column_stack([long * np.cos(tilt) - short * np.sin(tilt), long * np.sin(tilt) + short * np.cos(tilt)])
    return X, own


def crescents(n=800, seed=0):
    """Rows of two half circles that embrace, and which they are of."""
    rng = np.random.default_rng(seed)
    own, angle = np.arange(n) % 2, np.pi * rng.random(n)
    X = np.column_stack([np.cos(angle) + own, np.sin(angle) * (1 - 2 * own) + 0.4 * own])
    return X + rng.normal(0, 0.12, X.shape), own


def chosen_wreath(X):
    """The best of twelve to sixteen components of equal volume and shape, and of the other simple families."""
    return select(X, range(12, 17), ("EEV", "EEE", "VVV", "EII"), n_init=5, random_state=0)


def combined_crescents(X):
    """The components that BIC asks for, merged."""
    model = select(X, range(2, 11), ("full",), n_init=5, random_state=0).best
    return combine(model, X)


def geyser():
    """The rows, and the bootstrap of two components."""
    X = np.loadtxt(DATA, delimiter=",", skiprows=1)
    model = GMM(2, tol=1e-8, n_init=5, random_state=0).fit(X).sorted()
    return X, bootstrap(model, X, 999, random_state=0)


def print_all(wreath, found, clusters, rows, own):
    winner = wreath.table[wreath.winner]
    print(f"Wreath: {winner.n_components} components of family {winner.covariance_type}\n")
    print(f"Old Faithful: {found}\n")
    print(f"Crescents, merged:\n{clusters}")
    print(f"\nRows of two merged clusters in their crescent: {agreement(clusters.predict(rows, 2), own):.3f}")


def draw(wreath_rows, selection, found, clusters, rows, path):
    figure, axes = panels(2, 2, (5.4, 4.4))
    selection.best.plot(wreath_rows, ax=axes[0, 0], legend=False)
    axes[0, 0].set_title(f"Wreath: {selection.best.n_components} components")
    lower, upper = found.intervals(0.95)
    own, values = found.estimates.means, found.replicates.means
    for c, colour in enumerate((BLUE, ORANGE)):
        axes[0, 1].scatter(*(values[:, c] - own[c]).T, s=5, color=colour, alpha=0.5, linewidths=0)
        axes[0, 1].add_patch(_box(lower.means[c] - own[c], upper.means[c] - lower.means[c], colour))
    axes[0, 1].set_title("Old Faithful: means of 999 replicates, 95 % intervals")
    axes[0, 1].set(xlabel="length less that of the fit (minutes)", ylabel="wait less that of the fit (minutes)")
    axes[1, 0].scatter(*rows.T, s=6, c=np.array(COLOURS)[clusters.predict(rows, 2)], linewidths=0)
    plot.ellipses(clusters.model, ax=axes[1, 0], colors=["#444444"] * clusters.model.n_components)
    axes[1, 0].set_title("Crescents: components merged into two clusters")
    clusters.plot(ax=axes[1, 1])
    axes[1, 1].set_title("Which components become one")
    save(figure, path)


def _box(corner, size, colour):
    from matplotlib.patches import Rectangle

    return Rectangle(corner, *size, fill=False, color=colour, linewidth=2)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    wreath_rows, _ = wreath()
    selection = chosen_wreath(wreath_rows)
    _, found = geyser()
    rows, own = crescents()
    clusters = combined_crescents(rows)
    print_all(selection, found, clusters, rows, own)
    draw(wreath_rows, selection, found, clusters, rows, folder / "clusters.png")


if __name__ == "__main__":
    main()
