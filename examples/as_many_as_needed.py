"""As many components as the rows need, by variational Bayes.

Ten components are fitted to Old Faithful's eruptions. What is believed of their weights makes components compete for
rows: those that explain no more than others lose theirs, and die. The evidence lower bound says the same in another
way: of fits with one to six components that of two is the highest.

    python examples/as_many_as_needed.py --output FOLDER
"""

from pathlib import Path

import numpy as np

from _common import numbers, output_folder, panels, save
from cgmm import GMM, BayesianGMM, plot

SHOWN = (1, 60)
ARGUMENTS = {"weight_concentration_prior": 1e-3, "tol": 1e-6, "max_iter": 2000, "random_state": 0}


def eruptions():
    """Minutes that an eruption lasts, and minutes to the next (272,2)."""
    return np.genfromtxt(Path(__file__).parent / "data" / "faithful.csv", delimiter=",", skip_header=1)


def fit(X, k=10, **arguments):
    """The posterior of up to k components."""
    return BayesianGMM(k, **ARGUMENTS | arguments).fit(X)


def print_fit(model):
    small = model.prune()
    print(f"{model.n_effective_} of {model.n_components} components live after {model.n_iter_} iterations:")
    order = np.argsort(small.means_[:, 0])
    for weight, mean in zip(small.weights_[order], small.means_[order], strict=True):
        print(f"  weight {weight:.3f}, mean {numbers(mean, 2)}")


def bounds_by_k(X, most=6):
    """The lower bounds of fits with 1 … most components, each believed to be as heavy as the others."""
    believed = {"weight_concentration_prior_type": "dirichlet_distribution", "weight_concentration_prior": 1.0}
    return [fit(X, k, **believed, n_init=4).lower_bound_ for k in range(1, most + 1)]


def print_bounds(bounds):
    print("Evidence lower bound by the number of components, in nats:")
    for k, bound in enumerate(bounds, start=1):
        print(f"  {k}: {bound:.2f}")


def print_predictive(X):
    """From five rows: the mixture that is most likely is sure of what it knows least of."""
    few = X[:5]
    point, posterior = GMM(1).fit(few), BayesianGMM(1).fit(few)
    print("From five rows, the mean log-density of all:")
    print(f"  of the most likely normal distribution {point.score(X):.2f}")
    print(f"  predicted by the posterior {posterior.log_predictive(X).mean():.2f}")


def draw(X, models, bounds, path):
    """models : by the iteration after which they are shown"""
    figure, axes = panels(1, len(models) + 1, (3.4, 3.4))
    for ax, (iteration, model) in zip(axes[0], models.items(), strict=False):
        plot.scatter(model, X, ax=ax)
        plot.ellipses(model, ax=ax)
        ax.set_title(f"iteration {iteration}: {len(model.weights_)} live")
        ax.set_xlabel("minutes of an eruption")
        ax.set_ylabel("")
    axes[0, 0].set_ylabel("minutes to the next")
    ax = axes[0, -1]
    ax.plot(range(1, len(bounds) + 1), bounds, "o-")
    ax.set_title("evidence lower bound")
    ax.set_xlabel("components")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X = eruptions()
    model = fit(X)
    print_fit(model)
    bounds = bounds_by_k(X)
    print_bounds(bounds)
    print_predictive(X)
    ends = (*SHOWN, model.n_iter_)
    models = {n: fit(X, callback=lambda state, n=n: state.iteration == n).prune(point=True) for n in ends}
    draw(X, models, bounds, folder / "as_many_as_needed.png")


if __name__ == "__main__":
    main()
