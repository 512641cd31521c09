"""What twenty components make of handwritten digits.

1,797 images of 8 × 8 pixels, unlabelled, and a mixture of twenty spherical components: each component's mean is an
image too, and is drawn beside the five images that it is surest of.

    python examples/digits.py --output FOLDER
"""

import numpy as np

from _common import NEEDS_SCIKIT_LEARN, output_folder, panels, save
from cgmm import GMM

try:
    from sklearn.datasets import load_digits
except ImportError:
    raise SystemExit(NEEDS_SCIKIT_LEARN) from None

COMPONENTS, STRONGEST, COLUMNS = 20, 5, 4


def images():
    """Pixels from 0 to 1 (1797,64), and the digit of each image."""
    X, digits = load_digits(return_X_y=True)
    return X / 16, digits


def fit(X):
    return GMM(COMPONENTS, covariance_type="spherical", n_init=10, random_state=0).fit(X)


def strongest_rows(model, X):
    """The rows of highest responsibility of each component (k,5); of equal ones, the densest."""
    responsibilities, density = model.predict_proba(X), model.score_samples(X)
    return np.array([np.lexsort((density, r))[: -STRONGEST - 1 : -1] for r in responsibilities.T])


def shares(model, X, digits):
    """The share of each digit among the rows of each component (k,10)."""
    counts = np.zeros((COMPONENTS, 10))
    np.add.at(counts, (model.predict(X), digits), 1)
    return counts / counts.sum(axis=1, keepdims=True)


def print_components(model, X, digits):
    share, labels = shares(model, X, digits), model.predict(X)
    print(f"{len(X)} images, {COMPONENTS} spherical components, {model.n_iter_} iterations:")
    for c in np.lexsort((-share.max(axis=1), share.argmax(axis=1))):
        first, second = np.argsort(-share[c])[:2]
        mixed = f", {share[c, second]:.0%} are {second}" if share[c, second] > 0.1 else ""
        print(f"  {np.sum(labels == c):4} images: {share[c, first]:.0%} are {first}{mixed}")
    own = share.argmax(axis=1)[labels] == digits
    print(f"Named by its commonest digit, a component is right for {own.mean():.1%} of its images: no label was used.")


def draw(model, X, order, path):
    """Four components a row: the mean, and after a gap the images that it is surest of."""
    figure, axes = panels(COMPONENTS // COLUMNS, COLUMNS, (3.1, 0.6))
    strongest = strongest_rows(model, X)
    for ax, c in zip(axes.flat, order, strict=True):
        mean, *images = [np.pad(row.reshape(8, 8), 1) for row in (model.means_[c], *X[strongest[c]])]
        ax.imshow(np.hstack([mean, np.zeros((10, 3)), *images]), cmap="gray_r")
        ax.set_axis_off()
    figure.suptitle("Each component's mean, and the five images that it is surest of")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, digits = images()
    model = fit(X)
    print_components(model, X, digits)
    order = shares(model, X, digits).argmax(axis=1).argsort(kind="stable")
    draw(model, X, order, folder / "digits.png")


if __name__ == "__main__":
    main()
