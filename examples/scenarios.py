"""Scenarios: what a portfolio may lose, and what happens to it when the market falls.

Daily returns of four assets come from calm and from stormy days: in storms all move together, and further. A mixture
learns this from returns alone. It is a joint distribution, so it answers directly, without simulation: the return of
the portfolio is a projection, whose quantiles are the value at risk; a stress test is a condition. Where a simulation
is wanted, it draws scenarios, of all days or of those on which the market falls by a given amount. One normal
distribution, the usual model, sees neither the storms nor how much closer together assets are in them.

    python examples/scenarios.py --output FOLDER
"""

import numpy as np

from _common import BLUE, RED, output_folder, panels, save
from cgmm import GMM, select

ASSETS = ("market", "bank", "utility", "gold")
PORTFOLIO = np.array([0.4, 0.3, 0.2, 0.1])
DAYS = 2500  # ten years
STORMY = 0.12
CALM = np.array([0.7, 0.9, 0.5, 0.8]), np.array([[1, 0.5, 0.2, 0], [0.5, 1, 0.2, 0], [0.2, 0.2, 1, 0], [0, 0, 0, 1]])
STORM = (
    np.array([2.2, 3.6, 1.4, 1.5]),
    np.array([[1, 0.9, 0.7, -0.4], [0.9, 1, 0.7, -0.4], [0.7, 0.7, 1, -0.3], [-0.4, -0.4, -0.3, 1]]),
)
DRIFTS = np.array([[0.06, 0.06, 0.03, 0.02], [-0.3, -0.5, -0.1, 0.2]])
FALL = -4.0  # of the market, in per cent, in the stress test


def returns(n, seed=0):
    """Daily returns (n,4), in per cent."""
    rng = np.random.default_rng(seed)
    stormy = rng.random(n) < STORMY
    each = [rng.multivariate_normal(m, np.outer(s, s) * R, n) for m, (s, R) in zip(DRIFTS, (CALM, STORM), strict=True)]
    return np.where(stormy[:, None], each[1], each[0])


def models(X):
    return {"mixture": select(X, range(1, 5), n_init=3, random_state=0).best, "one normal": GMM(1).fit(X)}


def value_at_risk(model, level):
    """What a day's return of the portfolio is lower than with a probability of `level`: exact, by projection."""
    return float(model.affine([PORTFOLIO]).ppf([level])[0])


def stressed(model):
    """The mixture of the other assets on a day on which the market falls by FALL, and the portfolio's of that."""
    others = model.condition({0: FALL})
    return others, others.affine([PORTFOLIO[1:]], [PORTFOLIO[0] * FALL])


def print_answers(found, fresh):
    observed = fresh @ PORTFOLIO
    print(f"mixture of {found['mixture'].n_components} components, by BIC\n")
    print(f"{'':12}  return below which lies …       share of 100,000 new days below it")
    for name, model in found.items():
        risks = [value_at_risk(model, level) for level in (0.05, 0.01, 0.001)]
        shares = [np.mean(observed < risk) for risk in risks]
        told = "  ".join(f"{risk:6.2f} %" for risk in risks)
        print(f"{name:>12}  5 %, 1 %, 0.1 %: {told}   " + "  ".join(f"{share:.2%}" for share in shares))
    print(f"\nOn a day on which the market falls by {-FALL:g} %")
    near = fresh[np.abs(fresh[:, 0] - FALL) < 0.25]
    for name, model in found.items():
        others, portfolio = stressed(model)
        low, high = portfolio.interval(0.9)
        means = ", ".join(f"{asset} {mean:.1f}" for asset, mean in zip(ASSETS[1:], others.mean(), strict=True))
        held = np.mean((near @ PORTFOLIO >= low) & (near @ PORTFOLIO <= high))
        print(f"{name:>12}: {means}; portfolio from {low:.1f} to {high:.1f} (promised 90 %, of new days {held:.0%})")


def picture(found, X, fresh, path):
    figure, ((left, right),) = panels(1, 2, (5.4, 4.2))
    axis = np.linspace(-12, 8, 400)
    observed = fresh @ PORTFOLIO
    left.hist(observed, 120, range=(-12, 8), density=True, color="#bbbbbb", label="new days")
    for (name, model), colour in zip(found.items(), (BLUE, RED), strict=True):
        density = np.exp(model.affine([PORTFOLIO]).score_samples(axis[:, None]))
        left.plot(axis, density, color=colour, label=name)
    left.set(yscale="log", ylim=(1e-5, 1), xlabel="return of the portfolio (%)", ylabel="density")
    left.legend()
    left.set_title("The tails")
    right.scatter(X[:, 0], X[:, 1], s=4, color="#999999", alpha=0.6, linewidths=0, label="ten years")
    for (name, model), colour in zip(found.items(), (BLUE, RED), strict=True):
        banks = stressed(model)[0].set_params(random_state=0).sample(60)[0][:, 0]
        place = FALL + (0.0 if name == "mixture" else 0.5)
        label = f"{name}: scenarios of a fall"
        right.scatter(np.full(60, place), banks, s=14, color=colour, alpha=0.6, linewidths=0, label=label)
    right.set(xlabel="market (%)", ylabel="bank (%)")
    right.legend(loc="lower right", fontsize="small")
    right.set_title(f"The market falls by {-FALL:g} % (one normal: drawn beside)")
    save(figure, path)


def main(argv=None):
    folder = output_folder(argv, __doc__)
    X, fresh = returns(DAYS), returns(100_000, seed=1)
    found = models(X)
    print_answers(found, fresh)
    picture(found, X, fresh, folder / "scenarios.png")


if __name__ == "__main__":
    main()
