"""In the place of scikit-learn's GaussianMixture.

One name changed, in a pipeline under a grid search. The same search with both estimators, for the number of components
and the covariance type by cross-validated likelihood of standardised rows: the best parameters that each finds, and the
time that each took in this run.

    python examples/scikit_learn_pipeline.py --output FOLDER
"""

import time
import warnings

import numpy as np

from _common import BLUE, GREEN, NEEDS_SCIKIT_LEARN, RED, output_folder, panels, save
from cgmm import GMM

try:
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV, KFold
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
except ImportError:
    raise SystemExit(NEEDS_SCIKIT_LEARN) from None

COMPONENTS = (2, 3, 4, 5)
FAMILIES = {"full": BLUE, "tied": RED, "diag": GREEN}
MEANS = ((0, 0, 0), (4, 0, 1), (0, 5, -2), (5, 5, 3))
COVARIANCES = (
    [[1, 0.6, 0], [0.6, 1, 0], [0, 0, 1]],
    [[0.5, 0, 0], [0, 2, 0], [0, 0, 1]],
    [[2, 0, 0.8], [0, 1, 0], [0.8, 0, 1]],
    [[0.7, 0, 0], [0, 0.7, 0], [0, 0, 0.7]],
)
COUNTS = (400, 300, 200, 100)


def four_groups():
    """Rows (1000,3) of four groups, each with a covariance of its own."""
    random = np.random.RandomState(0)
    groups = zip(MEANS, COVARIANCES, COUNTS, strict=True)
    return np.concatenate([random.multivariate_normal(mean, cov, size=count) for mean, cov, count in groups])


def search(mixture, X):
    """The finished search, and the seconds that it took."""
    name = type(mixture).__name__.lower()
    pipeline = make_pipeline(StandardScaler(), mixture)
    grid = {f"{name}__n_components": COMPONENTS, f"{name}__covariance_type": list(FAMILIES)}
    begin = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # some candidates do not converge
        found = GridSearchCV(pipeline, grid, cv=KFold(3, shuffle=True, random_state=0)).fit(X)
    return found, time.perf_counter() - begin


def best(found):
    """The best parameters, by the mixture's own names of them."""
    return {name.split("__")[1]: value for name, value in found.best_params_.items()}


def print_searches(searches):
    for name, (found, seconds) in searches.items():
        told = ", ".join(f"{key}={value!r}" for key, value in sorted(best(found).items()))
        print(f"  {name:16}{seconds:7.2f} s   best: {told}; log-likelihood of an unseen row {found.best_score_:.4f}")
    (ours, seconds), (theirs, longer) = searches.values()
    print("The same answer." if best(ours) == best(theirs) else "Different answers.", end=" ")
    print(f"cgmm was {longer / seconds:.0f} times as fast in this run.")


def draw(searches, path):
    """Scores by components and family: cgmm's as lines, scikit-learn's as rings."""
    figure, ((ax,),) = panels(1, 1, (6.4, 4.4))
    ours, theirs = (found.cv_results_["mean_test_score"].reshape(len(FAMILIES), -1) for found, _ in searches.values())
    for c, (family, colour) in enumerate(FAMILIES.items()):
        ax.plot(COMPONENTS, ours[c], ".-", color=colour, label=family)
        ax.plot(COMPONENTS, theirs[c], "o", color=colour, markersize=11, markerfacecolor="none")
    ax.set(xticks=COMPONENTS, xlabel="components", ylabel="log-likelihood of an unseen row")
    ax.set_title("One grid search: cgmm (lines) and scikit-learn (rings)")
    ax.legend()
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X = four_groups()
    estimators = {"cgmm": GMM(n_init=5, random_state=0), "scikit-learn": GaussianMixture(n_init=5, random_state=0)}
    candidates = len(COMPONENTS) * len(FAMILIES)
    print(f"{len(X)} rows of four groups, {candidates} candidates, 3-fold cross-validation, 5 starts each:")
    searches = {name: search(mixture, X) for name, mixture in estimators.items()}
    print_searches(searches)
    draw(searches, folder / "scikit_learn_pipeline.png")


if __name__ == "__main__":
    main()
