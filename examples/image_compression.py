"""A photograph in a few colours.

A mixture of k components is fitted to the 273,280 pixels of a photograph, and each pixel is replaced by the mean of its
component. It then costs log2(k) bits, beside k colours for all. k = 2 to 30, each picture with its rate; and the time
of a fit beside scikit-learn's, of the same pixels in this run.

    python examples/image_compression.py --output FOLDER
"""

import time
import warnings

import numpy as np

from _common import NEEDS_SCIKIT_LEARN, output_folder, panels, save
from cgmm import GMM

try:
    from sklearn.datasets import load_sample_image
    from sklearn.mixture import GaussianMixture
except ImportError:
    raise SystemExit(NEEDS_SCIKIT_LEARN) from None

COMPONENTS = (2, 5, 10, 20, 30)
BESIDE = 5  # components of the fit that scikit-learn does too: it takes seconds, and longer for more
REPEATS = 5  # of cgmm's fits, which are too short to be timed once
BITS = 32  # of a number, in the picture and in the means


def photograph():
    """A picture (h,w,3) with values from 0 to 1."""
    return load_sample_image("china.jpg") / 255


def timed_fit(estimator, pixels, repeats=1):
    """The fitted estimator and the seconds that it took, the median of some repeats."""
    seconds = []
    for _ in range(repeats):
        start = time.perf_counter()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            estimator.fit(pixels)
        seconds.append(time.perf_counter() - start)
    return estimator, np.median(seconds)


def compression_rate(shape, k):
    """Bits of the picture over bits of its labels and k means."""
    height, width, channels = shape
    return height * width * channels * BITS / (height * width * np.log2(k) + k * channels * BITS)


def compress(model, picture):
    """Each pixel replaced by the mean of its component."""
    pixels = picture.reshape(-1, picture.shape[2])
    return model.means_[model.predict(pixels)].reshape(picture.shape)


def print_fits(fits, picture):
    height, width, channels = picture.shape
    print(f"{height} × {width} pixels, {channels} numbers each, of {BITS} bits (of 8, the rates are about a quarter).")
    print("Seconds of a fit; mean log-likelihood of a pixel; peak signal to noise of the compressed picture:\n")
    print(f"{'k':>4}{'seconds':>10}{'iterations':>12}{'log-likelihood':>16}{'rate':>8}{'dB':>7}")
    for k, (model, seconds) in fits.items():
        noise = np.mean((compress(model, picture) - picture) ** 2)
        rate = compression_rate(picture.shape, k)
        print(f"{k:4}{seconds:10.3f}{model.n_iter_:12}{model.lower_bound_:16.4f}", end="")
        print(f"{rate:8.1f}{-10 * np.log10(noise):7.1f}")


def print_beside(fits, pixels):
    ours, seconds = fits[BESIDE]
    theirs, longer = timed_fit(GaussianMixture(BESIDE, random_state=1), pixels)
    print(f"\nThe fit of k = {BESIDE} by scikit-learn took {longer:.2f} s and {theirs.n_iter_} iterations, ", end="")
    print(f"to {theirs.lower_bound_:.4f}; cgmm's took {seconds:.3f} s (median of {REPEATS}).")
    print(f"cgmm was {longer / seconds:.0f} times as fast in this run", end="")
    print(f" ({longer / theirs.n_iter_ / (seconds / ours.n_iter_):.0f} times for an iteration).")


def draw(fits, picture, path):
    figure, axes = panels(2, 3, (4.6, 3.3))
    axes[0, 0].imshow(picture)
    axes[0, 0].set_title("the photograph")
    for ax, (k, (model, _)) in zip(axes.flat[1:], fits.items(), strict=True):
        ax.imshow(compress(model, picture))
        ax.set_title(f"k = {k}: compressed {compression_rate(picture.shape, k):.1f} times")
    for ax in axes.flat:
        ax.set_axis_off()
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    picture = photograph()
    pixels = picture.reshape(-1, 3)
    fits = {k: timed_fit(GMM(k, random_state=1), pixels, REPEATS) for k in COMPONENTS}
    print_fits(fits, picture)
    print_beside(fits, pixels)
    draw(fits, picture, folder / "image_compression.png")


if __name__ == "__main__":
    main()
