"""A noise component: fits beside the reference and mclust, verbs, whatever it is combined with, and what is refused."""

import json
import pickle

import dask.array as da
import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import adjusted_rand_score

import cgmm
import reference
from cgmm import GMM, DegenerateWarning, select
from cgmm.mixture.noise import Box
from datasets import DATA, compact, table
from gaps import counts, gappy
from problems import FITTED, assert_same_bits, begin_at, clusters, start_of

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
families = pytest.mark.parametrize("family", reference.FAMILIES)
MCLUST = json.loads((DATA / "mclust_noise.json").read_text())
FAMILY = {"VVV": "full", "EEE": "tied", "VVI": "diag", "VII": "spherical"}
BEGINS = 0.1  # the weight with which a noise component begins where all parameters are given
ALL = (*FITTED, "noise_weight_")


def scattered(n=600, share=0.2, d=2, seed=0):
    """Rows of three clusters that are apart, and uniform noise about them; and which they are of, −1 the noise."""
    rng = np.random.default_rng(seed)
    own = np.where(rng.random(n) < share, -1, rng.integers(3, size=n))
    centres = 12.0 * np.array([[0, 0], [1, 0], [0, 1]])
    centres = np.pad(centres, ((0, 0), (0, d - 2)))
    X = centres[own] + rng.normal(size=(n, d))
    X[own < 0] = rng.uniform(-12, 24, size=(np.count_nonzero(own < 0), d))
    return X, own


def widths_of(X):
    return np.nanmax(X, axis=0) - np.nanmin(X, axis=0)


def begun(start, family, **arguments):
    return begin_at(start, family, noise_component="uniform", **arguments)


def assert_close(model, other, rtol, names=ALL):
    for name in names:
        expected = getattr(other, name)
        assert_allclose(getattr(model, name), expected, rtol=0, atol=rtol * np.abs(expected).max(), err_msg=name)


# The reference


@families
@pytest.mark.parametrize("dtype, rtol", [(np.float64, 1e-9), (np.float32, 2e-4)])
@pytest.mark.parametrize("n, d, k, weighted, labelled", [(90, 1, 2, False, True), (120, 3, 3, True, False)])
def test_a_fit_is_the_references(n, d, k, weighted, labelled, dtype, rtol, family):
    """In the box along the features, as missing="marginal" asks. Sums of float32 rows are of single precision."""
    X = np.vstack([clusters(n, d, k), 20 * np.random.default_rng(0).uniform(-1, 1, size=(n // 5, d))]).astype(dtype)
    start, w = start_of(X[:n].astype(np.float64), k, family), counts(len(X)) if weighted else None
    labels = np.where(np.arange(len(X)) % 4 == 0, np.arange(len(X)) % k, -1) if labelled else None
    weights = (1 - BEGINS) * start[0]
    expected, history = reference.noise_em(
        X.astype(np.float64), weights, *start[1:], BEGINS, widths_of(X[(w if weighted else np.ones(len(X))) > 0]),
        family, 5, 1e-6, w, labels,
    )  # fmt: skip
    model = begun(start, family, missing="marginal", max_iter=5).fit(X, sample_weight=w, labels=labels)
    for name, value in zip(("weights_", "means_", "covariances_", "noise_weight_"), expected, strict=True):
        assert_allclose(getattr(model, name), value, rtol=0, atol=rtol * np.abs(value).max(), err_msg=name)
    assert_allclose(model.lower_bounds_, history, rtol=rtol)


@families
def test_a_fit_of_rows_with_gaps_is_the_references(family):
    """A row counts with the density of what is observed of it, in the noise as in the components."""
    X = np.vstack([clusters(120, 4, 3), 20 * np.random.default_rng(0).uniform(-1, 1, size=(30, 4))])
    start, Y, w = start_of(X, 3, family), gappy(X), 1.0 + counts(150)
    Y[0] = np.nan
    expected, history = reference.noise_em(
        Y, (1 - BEGINS) * start[0], *start[1:], BEGINS, widths_of(Y), family, 5, 1e-6, w
    )
    model = begun(start, family, missing="marginal", max_iter=5).fit(Y, sample_weight=w)
    for name, value in zip(("weights_", "means_", "covariances_", "noise_weight_"), expected, strict=True):
        assert_allclose(getattr(model, name), value, rtol=0, atol=1e-9 * np.abs(value).max(), err_msg=name)
    assert_allclose(model.lower_bounds_, history, rtol=1e-9)
    assert_allclose(model.predict_proba(Y).sum(axis=1) + model.noise_probability(Y), 1, rtol=1e-12)
    assert_allclose(model.noise_probability(Y)[0], model.noise_weight_, rtol=1e-12)


mclusts = pytest.mark.parametrize("fit", MCLUST["fits"], ids=lambda fit: f"{fit['model']} {fit['k']}")
EXACT = {"tol": 1e-12, "max_iter": 20_000, "reg_covar": 0}


@mclusts
@pytest.mark.parametrize("noise", ["uniform", MCLUST["hypvol_reciprocal"]])
def test_mclusts_optimum_is_one_of_ours(noise, fit):
    """From mclust's parameters, but with another weight of the noise: log-likelihood to mclust's tolerance, degrees of
    freedom, BIC, ICL, parameters, labels."""
    X, family = table("noise2d"), FAMILY[fit["model"]]
    start = (
        np.array(fit["weights_noise_last"][:-1]) / sum(fit["weights_noise_last"][:-1]),
        np.array(fit["means"]),
        compact(fit["covariances"], family),
    )
    model = begin_at(start, family, noise_component=noise, **EXACT).fit(X)
    assert_allclose(model.lower_bound_ * len(X), fit["loglik"], rtol=0, atol=1e-4)
    assert model._n_parameters() == fit["df"]
    assert_allclose([-model.bic(X), -model.icl(X)], [fit["bic"], fit["icl"]], rtol=0, atol=2e-2)
    assert_allclose([*model.weights_, model.noise_weight_], fit["weights_noise_last"], rtol=0, atol=1e-3)
    assert_allclose(model.means_, fit["means"], rtol=0, atol=1e-2)
    assert_array_equal(model.predict(X), np.array(fit["classification_0_is_noise"]) - 1)


@mclusts
def test_mclusts_noise_leads_to_no_less(fit):
    """From k-means of the rows that are not mclust's initial noise: its optimum, or of EEE with three a better one."""
    X, noise = table("noise2d"), np.array(MCLUST["initial_noise"]) > 0
    start = np.full(len(X), -1)
    start[~noise] = cgmm.kmeans(X[~noise], fit["k"], n_init=10, random_state=0).labels
    arguments = {"covariance_type": FAMILY[fit["model"]], "noise_component": "uniform", **EXACT}
    model = GMM(fit["k"], responsibilities_init=start, **arguments).fit(X)
    assert model.lower_bound_ * len(X) > fit["loglik"] - 1e-4


# Verbs


@families
def test_what_a_mixture_says_of_rows(family):
    X, _ = scattered()
    model = GMM(3, covariance_type=family, noise_component="uniform", random_state=0).fit(X)
    resp, noise, labels = model.predict_proba(X), model.noise_probability(X), model.predict(X)
    assert_allclose(resp.sum(axis=1) + noise, 1, rtol=1e-12)
    assert_array_equal(labels, np.where(noise > resp.max(axis=1), -1, resp.argmax(axis=1)))
    assert_allclose(model.weights_.sum() + model.noise_weight_, 1, rtol=1e-12)
    components = reference.log_joint(X, model.weights_, model.means_, model.covariances_, family)
    density = noise * np.exp(model.score_samples(X))
    assert_allclose(density, density[0], rtol=1e-9)
    assert_allclose(np.exp(components).sum(axis=1) + density, np.exp(model.score_samples(X)), rtol=1e-9)
    assert_allclose(model.score(X), model.score_samples(X).mean(), rtol=1e-12)
    p = reference.n_parameters(3, 2, family) + 2
    assert_allclose(model.bic(X), -2 * 600 * model.score(X) + p * np.log(600), rtol=1e-12)
    assert_allclose(model.icl(X), model.bic(X) - 2 * np.log(np.maximum(noise, resp.max(axis=1))).sum(), rtol=1e-9)


def test_the_density_of_the_uniform_component_is_that_of_the_smaller_box():
    """Rows along a diagonal: the box along their principal axes is the smaller one, but the other where gaps may be."""
    rng = np.random.default_rng(0)
    X = rng.uniform(-1, 1, size=(500, 1)) * [3, 3] + 0.1 * rng.uniform(-1, 1, size=(500, 2))
    X[:200] = 0.1 * rng.normal(size=(200, 2))
    across = GMM(1, noise_component="uniform", random_state=0).fit(X)
    along = GMM(1, noise_component="uniform", random_state=0, missing="marginal").fit(X)
    axes = np.linalg.eigh(np.cov(X.T))[1]
    for model, volume in ((across, np.prod(np.ptp(X @ axes, axis=0))), (along, np.prod(np.ptp(X, axis=0)))):
        density = model.noise_probability(X) * np.exp(model.score_samples(X)) / model.noise_weight_
        assert_allclose(density, 1 / volume, rtol=1e-9)


@pytest.mark.parametrize("missing", ["error", "marginal"])
def test_samples_come_from_the_box(missing):
    rng = np.random.default_rng(0)
    X = np.vstack([rng.normal(size=(300, 2)), rng.uniform(-9, 9, size=(100, 1)) * [1, 1] + rng.normal(size=(100, 2))])
    model = GMM(1, noise_component="uniform", missing=missing, random_state=0).fit(X)
    drawn, labels = model.sample(20_000)
    noise = drawn[labels < 0]
    assert_allclose(len(noise) / 20_000, model.noise_weight_, atol=0.02)
    axes = np.eye(2) if missing == "marginal" else np.linalg.eigh(np.cov(X.T))[1]
    low, high = (X @ axes).min(axis=0), (X @ axes).max(axis=0)
    inside = (noise @ axes - low) / (high - low)
    assert inside.min() > -1e-9 and inside.max() < 1 + 1e-9
    assert_allclose(inside.mean(axis=0), 0.5, atol=0.03)
    assert_allclose(inside.var(axis=0), 1 / 12, atol=0.01)


def test_of_a_given_density_nothing_can_be_drawn():
    X, _ = scattered()
    with pytest.raises(ValueError, match="not where its rows are"):
        GMM(3, noise_component=1e-3, random_state=0).fit(X).sample(5)


# Laws


@families
def test_log_likelihoods_never_fall(family):
    X, _ = scattered(share=0.4)
    for accelerate in (False, True):
        model = GMM(3, covariance_type=family, tol=0, max_iter=60, reg_covar=0, random_state=0, accelerate=accelerate)
        gains = np.diff(model.set_params(noise_component="uniform").fit(X).lower_bounds_)
        assert gains.min() > -1e-12


def test_an_accelerated_fit_ends_where_em_does():
    X, _ = scattered(share=0.4)
    arguments = {"noise_component": "uniform", "random_state": 0, "tol": 1e-10, "max_iter": 5000, "reg_covar": 0}
    plain, fast = (GMM(3, accelerate=accelerate, **arguments).fit(X) for accelerate in (False, True))
    assert_close(fast, plain, 1e-3, ("weights_", "means_", "covariances_", "noise_weight_"))
    assert_allclose(fast.lower_bound_, plain.lower_bound_, rtol=1e-8)


@families
def test_any_number_of_threads_gives_the_same_bits(family):
    X, _ = scattered(n=5000, d=3)
    fits = [
        GMM(3, covariance_type=family, noise_component="uniform", random_state=0, n_threads=t).fit(X) for t in (1, 2, 3)
    ]
    for other in fits[1:]:
        assert_same_bits(fits[0], other, ALL)


@families
def test_weight_two_is_the_row_twice(family):
    X, _ = scattered(n=200)
    w, start = 1 + counts(200), start_of(X, 3, family)
    weighted = begun(start, family).fit(X, sample_weight=w)
    repeated = begun(start, family).fit(np.repeat(X, w, axis=0))
    assert_close(weighted, repeated, 1e-9)
    scaled = begun(start, family).fit(X, sample_weight=w * 2.0**-300)
    assert_close(scaled, weighted, 1e-12)


@families
@pytest.mark.parametrize("gaps", [False, True])
def test_blocks_and_chunks_give_what_an_array_gives(gaps, family):
    X, _ = scattered(n=3000, d=3)
    start, w = start_of(X, 3, family), 1.0 + counts(3000)
    rows, arguments = (gappy(X, 0.1), {"missing": "marginal"}) if gaps else (X, {})
    whole = begun(start, family, **arguments).fit(rows, sample_weight=w)
    streamed = begun(start, family, **arguments).fit([(rows[i : i + 700], w[i : i + 700]) for i in range(0, 3000, 700)])
    lazy, weights = da.from_array(rows, chunks=(800, 3)), da.from_array(w, chunks=800)
    chunked = begun(start, family, **arguments).fit(lazy, sample_weight=weights)
    for other in (streamed, chunked):
        assert_close(other, whole, 1e-8)
    assert_allclose(chunked.noise_probability(lazy).compute(), whole.noise_probability(rows), rtol=1e-6, atol=1e-9)
    assert_allclose(chunked.score(lazy), whole.score(rows), rtol=1e-9)


@families
def test_em_by_hand_is_a_fit(family):
    X, _ = scattered()
    start = start_of(X, 3, family)
    model, whole = begun(start, family, max_iter=0).fit(X), begun(start, family, max_iter=4).fit(X)
    for _ in range(4):
        model = cgmm.maximisation(model, sum(cgmm.expectation(model, part) for part in (X[:250], X[250:])))
    assert_close(model, whole, 1e-9, ("weights_", "means_", "covariances_", "noise_weight_"))


# Kept and combined


@pytest.mark.parametrize("noise", ["uniform", 2e-3])
def test_a_file_and_a_pickle_keep_it(noise, tmp_path):
    X, _ = scattered()
    model = GMM(3, noise_component=noise, random_state=0).fit(X)
    model.save(tmp_path / "model")
    for other in (GMM.load(tmp_path / "model"), pickle.loads(pickle.dumps(model))):
        assert_same_bits(model, other, ALL)
        assert_array_equal(other.noise_probability(X), model.noise_probability(X))
        assert other.noise_component == noise
        if noise == "uniform":
            assert_array_equal(
                other.set_params(random_state=1).sample(50)[1], model.set_params(random_state=1).sample(50)[1]
            )


def test_a_checkpoint_keeps_it(tmp_path):
    X, _ = scattered()

    def stop(state):
        if state.iteration == 7:
            raise KeyboardInterrupt

    arguments = {"random_state": 0, "tol": 0, "max_iter": 20, "noise_component": "uniform", "n_init": 2}
    with pytest.raises(KeyboardInterrupt):
        GMM(3, **arguments, checkpoint=tmp_path / "kept", checkpoint_interval=2, callback=stop).fit(X)
    again = GMM(3, **arguments, checkpoint=tmp_path / "kept").fit(X)
    assert_same_bits(again, GMM(3, **arguments).fit(X), ALL)


def test_a_warm_start_goes_on():
    X, _ = scattered()
    model = GMM(3, noise_component="uniform", random_state=0, warm_start=True, max_iter=3, tol=0).fit(X)
    first = model.noise_weight_
    again = model.fit(X)
    assert again.lower_bounds_[0] >= model.lower_bounds_[0] and again.noise_weight_ != first
    whole = GMM(3, noise_component="uniform", random_state=0, max_iter=6, tol=0).fit(X)
    assert_allclose(again.noise_weight_, whole.noise_weight_, rtol=1e-9)
    assert model.set_params(noise_component=None).fit(X).noise_weight_ == 0


@pytest.mark.parametrize("fixed", [("means",), ("weights",), ("covariances",)])
def test_fixed_parameters_stay(fixed):
    """Fixed weights are shares of what is no noise."""
    X, _ = scattered()
    start = start_of(X, 3, "full")
    model = begun((np.array([0.5, 0.3, 0.2]), *start[1:]), "full", fixed=fixed).fit(X)
    value = {"means": start[1], "weights": np.array([0.5, 0.3, 0.2]) * (1 - model.noise_weight_)}.get(
        fixed[0], start[2]
    )
    assert_allclose(getattr(model, f"{fixed[0]}_"), value, rtol=1e-12)
    assert 0.05 < model.noise_weight_ < 0.9


def test_a_prior_goes_along():
    X, _ = scattered()
    model = GMM(3, noise_component="uniform", prior="default", random_state=0, tol=1e-8, max_iter=500).fit(X)
    assert np.diff(model.lower_bounds_).min() > -1e-12
    assert_allclose(model.noise_weight_, 0.2, atol=0.05)


def test_select_counts_its_parameters():
    X, own = scattered(n=1000)
    found = select(X, range(1, 6), ["full", "spherical"], noise_component="uniform", n_init=2, random_state=0)
    assert found.best.n_components == 3
    for row in found.table:
        assert row.n_parameters == reference.n_parameters(row.n_components, 2, row.covariance_type) + 2
    assert adjusted_rand_score(own, found.best.predict(X)) > 0.9


# Starts


@families
@pytest.mark.parametrize("share", [0.05, 0.2, 0.4])
def test_clusters_are_found_in_noise(share, family):
    """From the first start, which sees the rows that lie among others. Of the noise a few per cent lie within clusters,
    where no rule tells them from these: 0.9 is the best there is for a share of 0.4."""
    X, own = scattered(n=1500, share=share, seed=3)
    model = GMM(3, covariance_type=family, noise_component="uniform", random_state=0, max_iter=500).fit(X)
    assert adjusted_rand_score(own, model.predict(X)) > 0.88
    assert_allclose(model.noise_weight_, (own < 0).mean(), atol=0.05)
    centres = model.means_[model.means_.sum(axis=1).argsort()]
    assert_allclose(centres[0], 0, atol=0.3)


def test_a_start_says_which_rows_are_noise():
    X, own = scattered(share=0.3)
    model = GMM(3, noise_component="uniform", responsibilities_init=own, max_iter=0).fit(X)
    assert_allclose(model.noise_weight_, (own < 0).mean(), rtol=1e-12)
    assert_allclose(model.means_, [X[own == c].mean(axis=0) for c in range(3)], rtol=1e-12)
    shares = np.eye(3)[own] * np.where(own < 0, 0.0, 0.9)[:, np.newaxis]
    soft = GMM(3, noise_component="uniform", responsibilities_init=shares, max_iter=0).fit(X)
    assert_allclose(soft.noise_weight_, 1 - 0.9 * (own >= 0).mean(), rtol=1e-12)
    called = GMM(3, noise_component="uniform", init_params=lambda rows, k, rng: own, max_iter=0).fit(X)
    assert_same_bits(called, model, ALL)


def test_known_rows_are_no_noise():
    X, own = scattered(share=0.3)
    far = int(np.flatnonzero(own < 0)[0])
    labels = np.where(np.arange(len(X)) % 10 == 0, own, -1)
    labels[far] = 2
    model = GMM(3, noise_component="uniform", random_state=0, n_init=3).fit(X, labels=labels)
    assert adjusted_rand_score(own, model.predict(X)) > 0.8
    assert_array_equal(model.predict(X)[(own >= 0) & (labels >= 0)], own[(own >= 0) & (labels >= 0)])


# Pictures


def test_noise_is_grey():
    """Points of their own, beneath the others; by responsibility, in an image and in curves of uncertainty, too."""
    pyplot = pytest.importorskip("matplotlib.pyplot")
    X, _ = scattered(share=0.3)
    model = GMM(3, noise_component="uniform", random_state=0).fit(X)
    labels = model.predict(X)
    noise, *others = cgmm.plot.scatter(model, X)
    assert noise.get_label() == "noise" and len(others) == 3
    assert_array_equal(np.sort(noise.get_offsets(), axis=0), np.sort(X[labels < 0], axis=0))
    red, green, blue = noise.get_facecolors()[0][:3]
    assert red == green == blue
    (points,) = cgmm.plot.scatter(model, X, by="responsibility")
    sure = model.noise_probability(X) > 0.999
    assert_allclose(points.get_facecolors()[sure][:, :3], red, atol=2e-3)
    many, _ = model.sample(25_000)
    for by in ("label", "responsibility"):
        (image,) = cgmm.plot.scatter(model, many, by=by)
        assert np.isfinite(image.get_array()).all()
    pyplot.close("all")
    one = GMM(2, noise_component="uniform", random_state=0).fit(X[:, :1])
    model.plot(X), one.plot(X[:, :1])
    assert (one.predict(X[:, :1]) < 0).any()
    assert "noise" in [line.get_label() for line in cgmm.plot.uncertainty(one, X[:, :1])]
    pyplot.close("all")


# All and nothing


def test_all_rows_may_be_noise():
    X = np.random.default_rng(0).uniform(size=(500, 2))
    with pytest.warns(DegenerateWarning, match=r"All rows belong to the noise component|no row belonged to it"):
        model = GMM(2, noise_component=1e6, random_state=0, max_iter=500).fit(X)
    assert model.noise_weight_ > 0.99 and np.isfinite(model.score(X)) and (model.predict(X) == -1).all()


def test_no_row_may_be_noise():
    X = np.random.default_rng(0).normal(size=(500, 2))
    with pytest.warns(DegenerateWarning, match="No row belongs to the noise component"):
        model = GMM(1, noise_component=1e-30, random_state=0, max_iter=500).fit(X)
    plain = GMM(1, random_state=0).fit(X)
    assert model.noise_weight_ < 1e-4
    assert_allclose(model.means_, plain.means_, atol=1e-6)
    assert (model.predict(X) == 0).all()


# What is refused


@pytest.mark.parametrize("value", [0, -1.0, np.inf, np.nan, True, "box", [1.0]])
def test_densities_that_are_none_are_refused(value):
    with pytest.raises((ValueError, TypeError), match="noise_component must be"):
        GMM(2, noise_component=value).fit(clusters(50, 2, 2))


def test_rows_that_fill_no_box_are_refused():
    X = clusters(100, 3, 2)
    flat, plane = X.copy(), X.copy()
    flat[:, 1] = 7.0
    plane[:, 2] = plane[:, 0] - 2 * plane[:, 1]
    with pytest.raises(ValueError, match=r"X\[:, 1\] is constant"):
        GMM(2, noise_component="uniform").fit(flat)
    with pytest.raises(ValueError, match="fewer dimensions"):
        GMM(2, noise_component="uniform").fit(plane)


def test_what_does_not_go_with_it_says_so():
    X, own = scattered()
    with pytest.raises(ValueError, match="is a density of whole rows"):
        GMM(3, noise_component=1e-3, missing="marginal").fit(gappy(X, 0.1))
    given = GMM(3, noise_component=1e-3, missing="marginal", random_state=0).fit(X)
    with pytest.raises(ValueError, match="no density of rows with missing values"):
        given.predict(gappy(X))
    with pytest.raises(ValueError, match="labels from 0 to 2"):
        GMM(3, responsibilities_init=np.where(own < 0, 3, own)).fit(X)
    with pytest.raises(ValueError, match="sum to no more than one"):
        GMM(3, noise_component="uniform", responsibilities_init=np.full((len(X), 3), 0.4)).fit(X)


def test_a_box_knows_its_volume():
    axes = np.array([[0.6, 0.8], [-0.8, 0.6]])
    box = Box(np.array([5.0, 1.0]), axes, np.array([-1.0, -2.0]), np.array([2.0, 2.0]))
    assert_allclose(box.log_volume, np.log(12))
    inside = (box.drawn(1000, np.random.default_rng(0)) - box.centre) @ axes.T
    assert (inside >= box.low).all() and (inside <= box.high).all()


@pytest.mark.parametrize("scale", [1e-100, 1e-30, 1.0, 1e30])
def test_probabilities_add_up_however_large_log_densities_are(scale):
    """Of many features in small units they are thousands, and their rounding was that of the probability."""
    rng = np.random.default_rng(0)
    X = scale * np.vstack([rng.normal(size=(200, 20)), rng.uniform(-6, 6, size=(60, 20))])
    model = GMM(2, covariance_type="diag", noise_component="uniform", reg_covar=0, random_state=0).fit(X)
    noise = model.noise_probability(X)
    assert_allclose(model.predict_proba(X).sum(axis=1) + noise, 1, rtol=0, atol=1e-15)
    assert (noise >= 0).all()
    assert (noise > 0.5).sum() > 20
    few = noise[noise < 1e-5]
    logs = model.score_samples(X)[noise < 1e-5]
    assert_allclose(np.log(few), np.log(model.noise_weight_) + model._parameters.noise.log_density - logs, atol=1e-9)
