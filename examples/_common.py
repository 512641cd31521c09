"""What the examples share: their one option, snapshots of a fit, and the start and end of a picture."""

import argparse
from pathlib import Path

import numpy as np
from scipy.optimize import linear_sum_assignment

from cgmm import GMM

COLOURS = BLUE, RED, GREEN, PINK, ORANGE, SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
NEEDS_SCIKIT_LEARN = "This example needs scikit-learn: pip install scikit-learn"


def output_folder(argv, description):
    """The folder that ``--output`` names, made if it is not there."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=Path(), help="folder of the pictures; default: the current")
    folder = parser.parse_args(argv).output
    folder.mkdir(parents=True, exist_ok=True)
    return folder


class Snapshots(dict):
    """A callback of GMM: keeps the model after the iterations that are asked for, and ends the fit after the last."""

    def __init__(self, *iterations):
        super().__init__()
        self.iterations = iterations

    def __call__(self, state):
        if state.iteration in self.iterations:
            mixture = state.parameters
            self[state.iteration] = GMM.from_parameters(
                mixture.weights, mixture.means, mixture.covariances, mixture.family.name
            )
        return state.iteration == max(self.iterations)


def agreement(labels, truth):
    """The share of rows that are labelled as in truth, once the labels are renamed to agree best."""
    table = np.zeros((labels.max() + 1, truth.max() + 1))
    np.add.at(table, (labels, truth), 1)
    return table[linear_sum_assignment(table, maximize=True)].sum() / len(labels)


def numbers(values, digits=4):
    """Values in a line of a table."""
    return " ".join(f"{value:{digits + 4}.{digits}f}" for value in values)


def panels(rows, columns, size, **settings):
    """A figure of rows × columns axes, size in inches each, that needs no display."""
    try:
        import matplotlib
    except ImportError:
        raise SystemExit("The picture needs matplotlib: pip install 'compiled-gmm[plot]'") from None
    matplotlib.use("Agg")
    from matplotlib import pyplot

    width, height = size
    return pyplot.subplots(
        rows, columns, figsize=(width * columns, height * rows), layout="constrained", squeeze=False, **settings
    )


def save(figure, path):
    from matplotlib import pyplot

    figure.savefig(path, dpi=120)
    pyplot.close(figure)
    print(f"\nPicture: {path}")
