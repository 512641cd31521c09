"""What moves in a film: a mixture for each of thousands of pixels.

A camera looks at a scene that does not move, except that a lamp flickers, water shimmers, and now and then something
passes by. A pixel's brightness over time is a mixture (Stauffer and Grimson 1999): one component where nothing happens,
two where the lamp is on or off. `fit_many` fits all pixels in one call and chooses the number of components of each by
BIC. What is more unlikely for a pixel's mixture than anything in its past is what moves.

    python examples/background.py --output FOLDER
"""

from time import perf_counter

import numpy as np

from _common import output_folder, panels, save
from cgmm import fit_many

HEIGHT, WIDTH, FRAMES = 48, 64, 150
LAMP, WATER = np.s_[6:18, 44:58], np.s_[34:48, :]  # rows and columns of the picture


def scene():
    """A film (frames, rows, columns) of brightness, three frames more, in the second of which something passes by, and
    the pixels (rows, columns) where it is."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    still = 0.3 + 0.2 * np.sin(x / 9) * np.cos(y / 7)

    def filmed(frames):
        film = still + 0.02 * rng.standard_normal((frames, HEIGHT, WIDTH))
        film[(slice(None), *LAMP)] += 0.4 * rng.integers(2, size=(frames, 1, 1))
        film[(slice(None), *WATER)] += 0.15 * (rng.random((frames, HEIGHT - 34, WIDTH)) < 0.3)
        return film

    new = filmed(3)
    passing = (np.hypot(x - 22, y - 24) < 6) | (np.hypot(x - 51, y - 30) < 4)
    new[1, passing] += 0.18
    return filmed(FRAMES), new, passing


def moving(fits, film, new):
    """Which pixels (rows, columns) of each new frame are more unlikely than they ever were."""
    least = fits.score_samples(film.reshape(len(film), -1), columns=True).min(axis=0)
    return (fits.score_samples(new.reshape(len(new), -1), columns=True) < least).reshape(new.shape)


def draw(film, new, fits, found, path):
    figure, axes = panels(2, 2, (4.6, 3.6))
    (seen, sizes), (marked, density) = axes
    seen.imshow(new[1], cmap="gray", vmin=0, vmax=1)
    seen.set_title("a new frame")
    shown = sizes.imshow(fits.n_components.reshape(HEIGHT, WIDTH), cmap="viridis", vmin=1, vmax=3)
    sizes.set_title("components of each pixel")
    figure.colorbar(shown, ax=sizes, ticks=[1, 2, 3], shrink=0.8)
    marked.imshow(found[1], cmap="gray_r")
    marked.set_title("what its past does not explain")
    for ax in (seen, sizes, marked):
        ax.set(xticks=[], yticks=[])
    row, column = 12, 51
    past = film[:, row, column]
    values = np.linspace(past.min() - 0.1, past.max() + 0.1, 400)
    density.hist(past, bins=30, density=True, color="0.85")
    density.plot(values, np.exp(fits[row * WIDTH + column].score_samples(values[:, np.newaxis])), color="#0072B2")
    density.set(title="a pixel of the lamp", xlabel="brightness", ylabel="density")
    save(figure, path)


def fit(film):
    """The mixture of each pixel, of one to three components."""
    return fit_many(film.reshape(len(film), -1), range(1, 4), columns=True, random_state=0)


def report(fits, found, passing):
    lamp = fits.n_components.reshape(passing.shape)[LAMP]
    print(f"  of the lamp's pixels {np.mean(lamp == 2):.1%} have two components")
    print(f"  of what passes by {np.mean(found[1][passing]):.1%} of the pixels are found")
    print(f"  of all others {np.mean(found[1][~passing]):.1%} are marked")


def main(argv=None):
    folder = output_folder(argv, __doc__)
    film, new, passing = scene()
    begun = perf_counter()
    fits = fit(film)
    print(f"{len(fits)} pixels, {FRAMES} frames: three fits of each pixel in {perf_counter() - begun:.2f} s")
    found = moving(fits, film, new)
    report(fits, found, passing)
    draw(film, new, fits, found, folder / "background.png")


if __name__ == "__main__":
    main()
