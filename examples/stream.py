"""A stream that drifts, followed.

Rows come in batches of fifty, and are seen once: two groups that wander in half circles, while one grows at the cost of
the other. `partial_fit` with a half-life (`forget`) follows them, as far behind as its memory is long. Without one,
where the groups have been blurs where they are. How likely each new batch is to a model that has not learnt from it yet
says which of the two still knows the stream.

    python examples/stream.py --output FOLDER
"""

from typing import NamedTuple

import numpy as np

from _common import BLUE, RED, numbers, output_folder, panels, save
from cgmm import GMM, plot

BATCHES, ROWS = 300, 50
HALF_LIFE = 300
RADIUS = 6.0
SMOOTH = 10  # batches in a mean of log-likelihoods
FIRST = 10  # batches, after which the start is long over


class Followed(NamedTuple):
    """What became of a model: its components in the order of the groups, after each batch and at the end.

    means : (batches,2,2);  weights : (2,)
    likelihoods : (batches − FIRST,) mean log-likelihood of a batch's rows, before the model has learnt from them
    """

    model: GMM
    means: np.ndarray
    weights: np.ndarray
    likelihoods: np.ndarray


def truth(batch):
    """The groups' shares (2,) and centres (2,2) when a batch comes; each is round, of standard deviation one."""
    time = batch / (BATCHES - 1)
    angles = np.pi * np.array([time, 1 + time])
    share = 0.7 - 0.4 * time
    return np.array([share, 1 - share]), RADIUS * np.column_stack([np.cos(angles), np.sin(angles)])


def rows_of(batch):
    """A batch of the stream (50,2)."""
    random, (shares, centres) = np.random.RandomState(batch), truth(batch)
    return centres[random.choice(2, ROWS, p=shares)] + random.randn(ROWS, 2)


def follow(**settings):
    """A mixture that learns batch by batch, and never sees a row again."""
    model = GMM(2, random_state=0, learning_rows=200, **settings)
    means = np.array([model.partial_fit(rows_of(batch)).means_ for batch in range(BATCHES)])
    order = np.argsort(means[FIRST] @ -truth(FIRST)[1][0])  # the first group's component first
    return Followed(model, means[:, order], model.weights_[order], model.lower_bounds_[FIRST - BATCHES :])


def distances(followed):
    """How far the means are from the groups' centres after each batch (batches,), on average."""
    centres = np.array([truth(batch)[1] for batch in range(BATCHES)])
    return np.linalg.norm(followed.means - centres, axis=2).mean(axis=1)


def smoothed(values):
    return np.convolve(values, np.full(SMOOTH, 1 / SMOOTH), "valid")


def print_paths(forgets, keeps):
    print(f"{BATCHES} batches of {ROWS} rows. Distance of the means from the centres of the groups after a batch:")
    print(f"  {'batch':>5} {f'half-life of {HALF_LIFE} rows':>24} {'without':>10}")
    near, far = distances(forgets), distances(keeps)
    for batch in (FIRST, 100, 200, BATCHES - 1):
        print(f"  {batch:5d} {near[batch]:24.2f} {far[batch]:10.2f}")
    shares, _ = truth(BATCHES - 1)
    print("Shares at the end: ", numbers(shares, 2), " with a half-life:", numbers(forgets.weights, 2),
          " without:", numbers(keeps.weights, 2))  # fmt: skip
    remembered = forgets.model.diagnostics_.effective_counts.sum()
    behind = np.pi * RADIUS / (BATCHES - 1) * remembered / ROWS
    print(
        f"With the half-life {remembered:.0f} rows are remembered. While so many come the centres move by {behind:.2f}:"
    )
    print("so far behind are its means, on average, but for their noise.")
    for name, followed in (("with a half-life", forgets), ("without", keeps)):
        print(f"Mean log-likelihood of the last 100 batches, {name}: {followed.likelihoods[-100:].mean():.3f}")


def draw(forgets, keeps, path):
    """The rows, from early to late, with the paths of the means; their distances; and how likely new batches were."""
    figure, ((rows, far, likely),) = panels(1, 3, (4.6, 4.0))
    shown = [(rows_of(batch), np.full(ROWS, batch)) for batch in range(0, BATCHES, 3)]
    X, when = (np.concatenate(parts) for parts in zip(*shown, strict=True))
    rows.scatter(*X.T, c=when, s=4, cmap="Greys", vmin=-BATCHES / 2, linewidths=0)
    for followed, colour in ((keeps, RED), (forgets, BLUE)):
        for c in range(2):
            rows.plot(*followed.means[FIRST:, c].T, color=colour, linewidth=2)
        plot.ellipses(followed.model, ax=rows, colors=[colour, colour])
        far.plot(np.arange(FIRST, BATCHES), distances(followed)[FIRST:], color=colour)
        likely.plot(np.arange(FIRST + SMOOTH - 1, BATCHES), smoothed(followed.likelihoods), color=colour)
    rows.set_aspect("equal")
    rows.set_title("Rows, darker the later, and paths of means")
    far.set(xlabel="batch", ylabel="distance of means from centres", title="How far behind")
    likely.set(xlabel="batch", ylabel="log-likelihood a row", title="New batches, before they are learnt from")
    far.text(150, distances(forgets)[150] + 0.2, f"half-life of {HALF_LIFE} rows", color=BLUE)
    far.text(90, distances(keeps)[190], "no half-life", color=RED)
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    forgets, keeps = follow(forget=HALF_LIFE), follow()
    print_paths(forgets, keeps)
    draw(forgets, keeps, folder / "stream.png")


if __name__ == "__main__":
    main()
