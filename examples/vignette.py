"""The analyses of mclust's vignette.

The 145 patients of Reaven and Miller (1979), three kinds of diabetes: BIC compares families and numbers of components,
tests ask how many there are, and the directions in which the components differ show them. The acidity of 155 lakes
(Crawford 1994): a density, with the probabilities of its components.

    python examples/vignette.py --output FOLDER
"""

from pathlib import Path

import numpy as np

from _common import agreement, output_folder, panels, save
from cgmm import GMM, directions, likelihood_ratio_test, plot, select

DATA = Path(__file__).parent / "data"
FAMILIES = ("EII", "VII", "EEI", "VVI", "EEE", "VEE", "EVE", "VVE", "EEV", "VEV", "EVV", "VVV")


def patients():
    """Rows of three measurements, and the kind of diabetes of each as a number."""
    table = np.genfromtxt(DATA / "diabetes.csv", delimiter=",", skip_header=1, dtype=str)
    return table[:, :3].astype(float), np.unique(table[:, 3], return_inverse=True)[1]


def lakes():
    return np.loadtxt(DATA / "acidity.csv", skiprows=1)[:, np.newaxis]


def chosen(X):
    """mclustBIC(X): all families of one to six components; from five starts, for k-means depends on units."""
    return select(X, range(1, 7), FAMILIES, n_init=5, tol=1e-5, max_iter=1000, random_state=0)


def print_table(selection):
    """summary(BIC): the three best."""
    best = sorted(selection.table, key=lambda candidate: candidate.bic)[:3]
    print("Best BIC values (mclust has them with the other sign):")
    for candidate in best:
        name = f"{candidate.covariance_type},{candidate.n_components}"
        print(f"  {name:8}{candidate.bic:10.3f}   {candidate.bic - best[0].bic:8.3f}")


def tests(X):
    """mclustBootstrapLRT(X, modelName = "VVV")."""
    return likelihood_ratio_test(X, n_replicates=199, n_init=5, random_state=0)


def draw(selection, X, lakes, density, path):
    figure, axes = panels(1, 3, (5.2, 4.4))
    selection.plot(ax=axes[0, 0])
    axes[0, 0].set_title("Diabetes: BIC")
    plot.projection(selection.best, X, ax=axes[0, 1])
    axes[0, 1].set_title("Diabetes: where the components differ")
    density.plot(lakes, ax=axes[0, 2], responsibilities=True)
    axes[0, 2].set(title="Acidity of lakes", xlabel="log(ANC + 50)")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, kinds = patients()
    selection = chosen(X)
    print_table(selection)
    print(f"\nPatients in the component of their kind: {agreement(selection.best.predict(X), kinds):.3f}")
    print(f"\n{tests(X)}")
    found = directions(selection.best)
    print(f"\nDirections: eigenvalues {found.eigenvalues.round(3)}, shares {found.shares.round(3)}")
    density = GMM(2, covariance_type="E", tol=1e-8, max_iter=1000, n_init=5, random_state=0).fit(lakes())
    print(f"\nAcidity: log-likelihood {density.score(lakes()) * len(lakes()):.3f}, median {density.ppf(0.5):.3f}")
    draw(selection, X, lakes(), density, folder / "vignette.png")


if __name__ == "__main__":
    main()
