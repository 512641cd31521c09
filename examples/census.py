"""A census-like table, as CTGAN prepares it: the modes of each column of numbers.

CTGAN (Xu et al. 2019, "Modeling tabular data using conditional GAN") learns to draw rows like those of a table. Its
network cannot learn columns of several modes as they are, so each number becomes two things: in which mode of its
column it is, and where in it. The modes are the components of a Bayesian mixture that keep a share of the rows, ten at
most, after a hundred iterations. `fit_many` fits all columns in one call.

Where ctgan is installed, its own preprocessing of the same table runs as well: plain, and patched by cgmm.sklearn.

    python examples/census.py --output FOLDER
"""

import warnings
from contextlib import nullcontext
from importlib.util import find_spec
from time import perf_counter

import numpy as np

from _common import COLOURS, output_folder, panels, save
from cgmm import BayesianGMM, ConvergenceWarning, fit_many

ROWS, MODES = 30_000, 10
LEAST_WEIGHT = 0.005  # A mode has at least this share of the rows, in ctgan.
WIDTH = 4.0  # Standard deviations of a mode that become 1, in ctgan.
NUMBERS = ("age", "hours a week", "log weight", "log capital gain", "years of education", "log wage")
CHOICES = {"work": ("private", "public", "own", "none"), "sex": ("female", "male"), "income": ("low", "high")}


def census(n):
    """Columns of numbers (n, 6) and of choices (n, 3), no two of which are independent."""
    rng = np.random.default_rng(0)
    work, sex = rng.choice(4, n, p=[0.65, 0.15, 0.12, 0.08]), rng.integers(2, size=n)
    age = np.where(rng.random(n) < 0.3, rng.normal(24, 4, n), rng.normal(44, 11, n)).clip(17, 90).round()
    school = rng.choice([9, 10, 13, 14, 16], n, p=[0.32, 0.25, 0.25, 0.1, 0.08]) + 0.3 * rng.standard_normal(n)
    full = rng.random(n) < np.array([0.75, 0.8, 0.6, 0.1])[work]
    hours = np.where(full, rng.normal(40, 1.5, n), rng.normal(np.where(age < 30, 20, 30), 7, n)).clip(1, 99)
    wage = 2.2 + 0.07 * school + 0.01 * age.clip(17, 50) + 0.4 * rng.standard_normal(n)
    gain = np.where(rng.random(n) < 0.08, rng.normal(8.8, 0.7, n), 0.1 * rng.standard_normal(n))
    high = (wage + 0.3 * sex + 0.1 * gain > 4.0).astype(int)
    numbers = np.column_stack([age, hours, rng.normal(12, 0.5, n), gain, school, wage])
    return numbers, np.column_stack([work, sex, high])


def fit(numbers):
    """What is believed of each column, with ctgan's arguments."""
    model = BayesianGMM(MODES, weight_concentration_prior=1e-3, random_state=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a hundred iterations are what ctgan makes
        return fit_many(numbers, columns=True, model=model)


def encoded(fits, numbers, rng):
    """Of each column where its numbers are in their modes (n,), in which modes they are (n,), and which there are.

    A number that may be of several modes is put into one of them at random, by its probabilities.
    """
    found = []
    for column, posterior in zip(numbers.T, fits, strict=True):
        modes = np.flatnonzero(posterior.weights_ > LEAST_WEIGHT)
        shares = posterior.predict_proba(column[:, np.newaxis])[:, modes] + 1e-6
        bounds = np.cumsum(shares / shares.sum(axis=1, keepdims=True), axis=1)
        mode = (rng.random(len(column))[:, np.newaxis] > bounds[:, :-1]).sum(axis=1)
        means, widths = posterior.means_[modes, 0], WIDTH * np.sqrt(posterior.covariances_[modes, 0, 0])
        found.append((((column - means[mode]) / widths[mode]).clip(-0.99, 0.99), mode, modes))
    return found


def decoded(fits, parts):
    """The numbers (n, columns) that the parts tell of."""
    columns = []
    for posterior, (within, mode, modes) in zip(fits, parts, strict=True):
        means, widths = posterior.means_[modes, 0], WIDTH * np.sqrt(posterior.covariances_[modes, 0, 0])
        columns.append(within * widths[mode] + means[mode])
    return np.column_stack(columns)


def matrix(parts, choices):
    """What the network sees: of each number where it is and its mode one-hot, of each choice one-hot."""
    blocks = []
    for within, mode, modes in parts:
        blocks += [within[:, np.newaxis], np.eye(len(modes))[mode]]
    blocks += [np.eye(len(names))[choice] for choice, names in zip(choices.T, CHOICES.values(), strict=True)]
    return np.concatenate(blocks, axis=1)


def report(fits, parts, numbers, choices):
    for name, (_, _, modes), living in zip(NUMBERS, parts, fits.n_effective, strict=True):
        print(f"  {name:20} {len(modes)} modes, of {living} components that live")
    lost = np.abs(decoded(fits, parts) - numbers) > 1e-9
    print(f"  {matrix(parts, choices).shape[1]} columns for the network; {lost.mean():.3%} of the numbers are clipped")


def with_ctgan(numbers, choices):
    """Seconds of ctgan's own preprocessing of the table, plain and patched; None where it is not installed."""
    if find_spec("ctgan") is None:
        return None
    import pandas as pd
    from ctgan.data_transformer import DataTransformer

    from cgmm.sklearn import patch_sklearn

    frame = pd.DataFrame(numbers, columns=NUMBERS)
    for name, choice in zip(CHOICES, choices.T, strict=True):
        frame[name] = np.array(CHOICES[name])[choice]
    seconds = []
    for patch in (nullcontext, patch_sklearn):
        np.random.seed(0)
        with patch(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            begun = perf_counter()
            transformer = DataTransformer()
            transformer.fit(frame, list(CHOICES))
            transformer.transform(frame)
            seconds.append(perf_counter() - begun)
    return seconds


def draw(fits, parts, numbers, path):
    figure, axes = panels(2, len(NUMBERS), (2.7, 2.4))
    for j, (name, posterior, (within, mode, modes)) in enumerate(zip(NUMBERS, fits, parts, strict=True)):
        column, (above, below) = numbers[:, j], axes[:, j]
        values = np.linspace(column.min(), column.max(), 600)
        above.hist(column, bins=80, density=True, color="0.85")
        shares = posterior.predict_proba(values[:, np.newaxis])[:, modes]
        density = np.exp(posterior.log_predictive(values[:, np.newaxis]))
        for at in range(len(modes)):
            colour = COLOURS[at % len(COLOURS)]
            above.plot(values, density * shares[:, at], color=colour)
            below.hist(within[mode == at], bins=60, range=(-1, 1), histtype="step", color=colour)
        above.plot(values, density, color="black", linewidth=0.8)
        above.set(title=name, yticks=[])
        below.set(yticks=[], xlim=(-1, 1), xticks=(-0.5, 0, 0.5))
    axes[0, 0].set_ylabel("the column, and its modes")
    axes[1, 0].set_ylabel("where in their mode")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    numbers, choices = census(ROWS)
    begun = perf_counter()
    fits = fit(numbers)
    print(f"{len(fits)} columns of {ROWS} rows: a posterior of each in {perf_counter() - begun:.2f} s")
    parts = encoded(fits, numbers, np.random.default_rng(0))
    report(fits, parts, numbers, choices)
    seconds = with_ctgan(numbers, choices)
    if seconds is not None:
        plain, patched = seconds
        print(f"  ctgan's own preprocessing: {plain:.2f} s with scikit-learn, {patched:.2f} s patched")
    draw(fits, parts, numbers, folder / "census.png")


if __name__ == "__main__":
    main()
