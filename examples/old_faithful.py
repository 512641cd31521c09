"""How many kinds of eruption has the Old Faithful geyser?

Fits Gaussian mixtures of one to four components and four covariance families to 272 eruptions (minutes long, and
minutes until the next; Azzalini and Bowman 1990), chooses by BIC, prints the parameters, and draws a picture when
matplotlib is installed.

    python examples/old_faithful.py --output FOLDER
"""

import argparse
from pathlib import Path

import numpy as np

from cgmm import select
from cgmm.mixture.families import FAMILIES

DATA = Path(__file__).parent / "data" / "faithful.csv"
STYLE = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}


def print_parameters(model):
    """Components from the shortest eruptions to the longest."""
    covariances = FAMILIES[model.covariance_type].expand(model.covariances_, *model.means_.shape)
    for number, c in enumerate(np.argsort(model.means_[:, 0]), start=1):
        (length, wait), deviations = model.means_[c], np.sqrt(np.diag(covariances[c]))
        correlation = covariances[c][0, 1] / deviations.prod()
        print(
            f"  {number}: {model.weights_[c]:6.1%} of eruptions; {length:.2f} ± {deviations[0]:.2f} min long, "
            f"next after {wait:.1f} ± {deviations[1]:.1f} min, correlation {correlation:.2f}"
        )


def draw(selection, X, path):
    """The rows with the best model's components, and the BIC of every model."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    with pyplot.rc_context(STYLE):
        figure, (left, right) = pyplot.subplots(1, 2, figsize=(12, 5.4), width_ratios=(1.6, 1), layout="constrained")
        selection.best.plot(X, ax=left)
        left.set(xlabel="length of the eruption (minutes)", ylabel="time until the next (minutes)")
        left.set_title("Eruptions of Old Faithful", loc="left")
        selection.plot(ax=right)
        right.set_title("Which model?", loc="left")
        figure.savefig(path, dpi=150)
        pyplot.close(figure)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(), help="folder of the picture; default: the current")
    folder = parser.parse_args(argv).output
    X = np.loadtxt(DATA, delimiter=",", skiprows=1)
    selection = select(X, range(1, 5), criterion="bic", random_state=0)

    print(f"Old Faithful: {len(X)} eruptions. Of the criteria, smaller is better:\n")
    print(selection)
    winner = selection.table[selection.winner]
    print(f"\nSmallest BIC: {winner.covariance_type} covariance, {winner.n_components} components (mean ± deviation):")
    print_parameters(selection.best)

    path = folder / "old_faithful.png"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        draw(selection, X, path)
    except ImportError:
        print("\nmatplotlib is not installed: no picture drawn.")
    else:
        print(f"\nPicture: {path}")


if __name__ == "__main__":
    main()
