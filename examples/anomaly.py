"""Anomalies are rows that a mixture finds improbable.

A mixture learns what is normal: measurements of benign breast tumours (Wolberg, Street and Mangasarian 1995). A
threshold on `score_samples` is set so that one benign tumour in twenty passes for an anomaly. Then come benign tumours
that had no part in either, and malignant ones, of which the mixture knows nothing. All that fifty times, with the
benign dealt out anew, for one deal may be lucky.

    python examples/anomaly.py --output FOLDER
"""

from typing import NamedTuple

import numpy as np

from _common import BLUE, NEEDS_SCIKIT_LEARN, RED, output_folder, panels, save
from cgmm import select

try:
    from sklearn.datasets import load_breast_cancer
except ImportError:
    raise SystemExit(NEEDS_SCIKIT_LEARN) from None

COMPONENTS = (1, 2, 3, 4)
DEALS = 50
FALSE_ALARMS = 0.05


class Scores(NamedTuple):
    """Log-densities of rows by the part that they had: learnt from, held out for the threshold, tested."""

    learnt: np.ndarray
    held_out: np.ndarray
    benign: np.ndarray
    malignant: np.ndarray


def tumours():
    """Ten measurements of the largest cell nuclei of benign and malignant tumours, (357,10) and (212,10)."""
    X, benign = load_breast_cancer(return_X_y=True)
    return X[benign == 1, 20:], X[benign == 0, 20:]


def deal(benign, malignant, seed):
    """Learn from a half of the benign (components by least BIC), hold out a quarter, test on the last."""
    n = len(benign)
    parts = np.split(np.random.RandomState(seed).permutation(benign), [n // 2, 3 * n // 4])
    centre, scale = parts[0].mean(axis=0), parts[0].std(axis=0)
    model = select((parts[0] - centre) / scale, COMPONENTS, "full", n_init=5, random_state=0).best
    return Scores(*(model.score_samples((rows - centre) / scale) for rows in (*parts, malignant)))


def flagged(scores, thresholds):
    """The share of the scores below each threshold."""
    return np.searchsorted(np.sort(scores), thresholds) / len(scores)


def threshold(scores):
    return np.quantile(scores, FALSE_ALARMS)


def print_deals(deals):
    def told(shares):
        return f"{np.mean(shares):6.1%} ± {np.std(shares):.1%}"

    learnt, held_out = ([threshold(part) for part in parts] for parts in list(zip(*deals, strict=True))[:2])
    benign, malignant = [d.benign for d in deals], [d.malignant for d in deals]
    print(f"Flagged with a threshold below which {FALSE_ALARMS:.0%} of the benign lie, over {len(deals)} deals:")
    print("  threshold from the tumours learnt from: ", told(list(map(flagged, benign, learnt))), "of unseen benign")
    print("  threshold from tumours held out:        ", told(list(map(flagged, benign, held_out))), "of unseen benign")
    print("                                          ", told(list(map(flagged, malignant, held_out))), "of malignant")
    print("What a fit has seen is no judge of it: held-out rows give the false alarms that were asked for.")
    areas = [np.mean(d.malignant[:, np.newaxis] < d.benign) for d in deals]
    print(f"A malignant tumour scores below a benign one{told(areas)} of the time (area under the ROC curve).")


def draw(deals, path):
    """Scores beside their thresholds, all deals together; and for each deal what other thresholds would give."""
    figure, ((left, right),) = panels(1, 2, (5.2, 4.0))
    bins = np.linspace(-120, 20, 71)
    for part, colour in (("malignant", RED), ("benign", BLUE)):
        margins = np.concatenate([getattr(scores, part) - threshold(scores.held_out) for scores in deals])
        shares = np.full(len(margins), 1 / len(margins))
        left.hist(np.maximum(margins, bins[0]), bins, weights=shares, label=part, color=colour, alpha=0.6)
    left.axvline(0, color="black", linestyle="--", label="threshold")
    left.set(xlabel="log-density above the threshold (first bar: −120 and below)", ylabel="share")
    left.set_title("What mixtures of benign tumours say")
    left.legend(loc="upper center")
    for scores in deals:
        thresholds = np.sort(np.concatenate([scores.benign, scores.malignant, [np.inf]]))
        shares = flagged(scores.benign, thresholds), flagged(scores.malignant, thresholds)
        right.plot(*shares, color="black", alpha=0.1, linewidth=1)
    right.axvline(FALSE_ALARMS, color="black", linestyle="--", label=f"{FALSE_ALARMS:.0%} of benign")
    right.legend(loc="lower right")
    right.set(xlabel="benign flagged", ylabel="malignant flagged", title=f"Any threshold, {len(deals)} deals")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    benign, malignant = tumours()
    deals = [deal(benign, malignant, seed) for seed in range(DEALS)]
    print_deals(deals)
    draw(deals, folder / "anomaly.png")


if __name__ == "__main__":
    main()
