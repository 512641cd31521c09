"""Known components, and a noise component, in all that learns: select, partial_fit, fit_many, the command line."""

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from cgmm import GMM, BayesianGMM, fit_many, select
from gaps import gappy
from mixtures import log_densities
from problems import clusters

pytestmark = pytest.mark.filterwarnings("ignore::cgmm.ConvergenceWarning")
PARTS = ("weights_", "means_", "covariances_")


def labelled(n=400, k=3, share=0.2, seed=0):
    """Rows of clusters, and labels of which a share is known: those of a fit, but for a few."""
    X = clusters(n, 2, k)
    own = GMM(k, n_init=3, random_state=0).fit(X).predict(X)
    rng = np.random.default_rng(seed)
    own = np.where(rng.random(n) < 0.05, rng.integers(k, size=n), own)
    return X, np.where(rng.random(n) < share, own, -1)


def assert_same_parts(one, other, rtol=0.0):
    for name in PARTS:
        assert_allclose(getattr(one, name), getattr(other, name), rtol=rtol, atol=rtol)


# select


@pytest.mark.parametrize("covariance_type", ["full", "tied", "VEV"])
def test_candidates_are_fits_with_labels_and_count_what_is_known(covariance_type):
    X, labels = labelled()
    arguments = {"n_init": 2, "random_state": 0, "tol": 1e-6, "max_iter": 1000, "reg_covar": "relative"}
    arguments["accelerate"] = True
    found = select(X, [3, 4], covariance_type, labels=labels, **arguments)
    for candidate in found.table:
        model = GMM(candidate.n_components, covariance_type=covariance_type, **arguments).fit(X, labels=labels)
        k, d = model.means_.shape
        covariances = np.broadcast_to(model.covariances_, (k, d, d))
        logs = log_densities(GMM.from_parameters(model.weights_, model.means_, covariances), X)
        own = np.where(labels < 0, np.logaddexp.reduce(logs, axis=1), logs[np.arange(len(X)), labels])
        assert candidate.log_likelihood == pytest.approx(own.sum(), rel=1e-9)
        sure = np.where(labels < 0, (logs - np.logaddexp.reduce(logs, axis=1)[:, None]).max(axis=1), 0.0)
        assert candidate.icl - candidate.bic == pytest.approx(-2 * sure.sum(), rel=1e-6)
        if candidate.n_components == found.best.n_components:
            assert_same_parts(found.best, model)


def test_a_selection_without_a_known_component_is_that_without_labels():
    X, _ = labelled()
    one, other = (select(X, [1, 2], n_init=1, random_state=0, labels=own) for own in (None, np.full(len(X), -1)))
    assert [row._replace(seconds=0) for row in one.table] == [row._replace(seconds=0) for row in other.table]


def test_numbers_of_components_hold_all_labels():
    X, labels = labelled()
    with pytest.raises(ValueError, match="n_components must be from 3 on, not 2"):
        select(X, [2, 3], labels=labels)
    with pytest.raises(ValueError, match="labels must have shape"):
        select(X, 3, labels=labels[:-1])


# partial_fit


@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical"])
def test_batches_of_known_rows_move_their_components_alone(covariance_type):
    X, labels = labelled(2000)
    model = GMM(3, covariance_type=covariance_type, random_state=0).fit(X, labels=labels)
    before = model.means_.copy()
    batch = X[:100] + 1.0
    model.partial_fit(batch, labels=np.full(100, 1))
    assert_allclose(model.means_[[0, 2]], before[[0, 2]], rtol=1e-12)
    assert np.linalg.norm(model.means_[1] - before[1]) > 0.01
    assert model.weights_[1] > 0.3


def test_labels_that_know_nothing_change_no_bit():
    X, _ = labelled(3000)
    one, other = GMM(3, random_state=0), GMM(3, random_state=0)
    for rows in np.split(X, 3):
        one.partial_fit(rows)
        other.partial_fit(rows, labels=np.full(len(rows), -1))
    assert_same_parts(one, other)


def test_a_stream_with_labels_is_numbered_by_them():
    """Whether they come as arrays or with blocks; some batches have none, and the first rows lack a component."""
    X, labels = labelled(6000, share=0.5)
    order = np.argsort(labels == 2, kind="stable")  # the rows known to be of component 2 come last
    X, labels = X[order], labels[order]
    model, blocks = GMM(3, random_state=0), GMM(3, random_state=0)
    parts = [(X[at : at + 500], labels[at : at + 500] if at % 1500 else None) for at in range(0, 6000, 500)]
    for rows, own in parts:
        model.partial_fit(rows, labels=own)
    blocks.partial_fit((rows, None, np.full(len(rows), -1) if own is None else own) for rows, own in parts)
    assert_same_parts(model, blocks, 1e-12)
    centres = [X[labels == c].mean(axis=0) for c in range(3)]
    assert_allclose(model.means_, centres, atol=0.5)


def test_a_first_batch_of_one_component_waits_for_the_others():
    X, _ = labelled()
    own = GMM(3, n_init=3, random_state=0).fit(X).predict(X)
    model = GMM(3, random_state=0, learning_rows=400)
    first = own == 0
    model.partial_fit(X[first], labels=own[first])
    assert not hasattr(model, "means_")
    model.partial_fit(X[~first], labels=own[~first])
    assert_allclose(model.means_, [X[own == c].mean(axis=0) for c in range(3)], rtol=1e-9, atol=1e-9)


def test_labels_of_batches_are_checked():
    X, labels = labelled()
    model = GMM(3, random_state=0).fit(X)
    before = model.means_.copy()
    for bad, told in ((np.full(400, 3), "from 0 to 2"), (labels[:-1], "shape"), (labels + 0.5, "whole numbers")):
        with pytest.raises(ValueError, match=told):
            model.partial_fit(X, labels=bad)
    with pytest.raises(TypeError, match="each of which brings its labels"):
        model.partial_fit(iter([X]), labels=labels)
    assert_array_equal(model.means_, before)


# Noise in a stream


def noisy(n=6000, seed=0):
    """Rows of three clusters, a fifth of them anywhere, in random order."""
    rng = np.random.default_rng(seed)
    X = np.array([[0.0, 0.0], [8.0, 0.0], [0.0, 8.0]])[rng.integers(3, size=n)] + rng.normal(size=(n, 2))
    where = rng.random(n) < 0.2
    X[where] = rng.uniform(X.min(axis=0) - 5, X.max(axis=0) + 5, size=(where.sum(), 2))
    return rng.permutation(X)


@pytest.mark.parametrize("noise", ["uniform", 1e-3])
@pytest.mark.parametrize("covariance_type", ["full", "tied", "diag", "spherical", "VEE"])
def test_a_stream_learns_the_noise_that_a_fit_learns(covariance_type, noise):
    X = noisy()
    arguments = {"covariance_type": covariance_type, "noise_component": noise, "random_state": 0, "n_init": 3}
    whole, stream = GMM(3, **arguments).fit(X), GMM(3, **arguments, learning_decay=1.0)
    for rows in np.split(X, 12):
        stream.partial_fit(rows)
    assert stream.noise_weight_ == pytest.approx(whole.noise_weight_, abs=0.03)
    order = [np.linalg.norm(stream.means_ - mean, axis=1).argmin() for mean in whole.means_]
    assert sorted(order) == [0, 1, 2]
    assert_allclose(stream.means_[order], whole.means_, atol=0.15)
    assert stream.weights_.sum() + stream.noise_weight_ == pytest.approx(1, rel=1e-12)


def test_a_step_shares_out_the_noise_as_the_formulas_say():
    """From given statistics: n_0 and n_c of the remembered rows and of the batch, mixed by the step's share."""
    X = noisy(3000)
    model = GMM(3, noise_component="uniform", random_state=0, learning_decay=1.0, tol=1e-10, max_iter=500).fit(X)
    batch, before = noisy(500, seed=3), model.noise_weight_
    share = 1 - 3000 / 3500  # with learning_decay=1 all rows count alike
    expected = (1 - share) * before + share * model.noise_probability(batch).mean()
    parts = (1 - share) * model.weights_ + share * model.predict_proba(batch).mean(axis=0)
    model.partial_fit(batch)
    assert model.noise_weight_ == pytest.approx(expected, rel=1e-6)  # the fit's last step moved it less than its tol
    assert_allclose(model.weights_, parts, rtol=1e-5)


def test_a_stream_with_noise_goes_on_from_a_file(tmp_path):
    X = noisy()
    model = GMM(3, noise_component="uniform", random_state=0).partial_fit(X[:3000])
    model.save(tmp_path / "model.npz")
    again = GMM.load(tmp_path / "model.npz")
    for one in (model, again):
        one.partial_fit(X[3000:4000]).partial_fit(X[4000:])
    assert_same_parts(model, again)
    assert again.noise_weight_ == model.noise_weight_


def test_noise_begins_with_the_first_rows():
    X = noisy(1000)
    for one, other in ((None, "uniform"), ("uniform", None)):
        model = GMM(3, noise_component=one, random_state=0).fit(X)
        with pytest.raises(ValueError, match="one begins with the first rows"):
            model.set_params(noise_component=other).partial_fit(X)
    gaps = GMM(3, noise_component="uniform", missing="marginal", random_state=0).partial_fit(gappy(X))
    gaps.partial_fit(gappy(X))
    assert 0 < gaps.noise_weight_ < 0.5


# fit_many


def problems(m=4, n=120):
    rng = np.random.default_rng(0)
    X = np.stack([clusters(n, 2, 2) + 3 * i for i in range(m)])
    return X, np.where(rng.random((m, n)) < 0.3, (X[:, :, 0] > np.median(X[:, :, 0], axis=1)[:, None]).astype(int), -1)


@pytest.mark.parametrize("way", ["list", "array", "groups", "columns"])
def test_each_of_many_fits_honours_its_labels(way):
    X, labels = problems()
    m, n, d = X.shape
    rows, owns = list(X), list(labels)
    if way == "list":
        fits = fit_many(rows, 2, labels=[*owns[:-1], None], random_state=0)
        owns[-1] = None
    elif way == "array":
        fits = fit_many(X, 2, labels=labels, random_state=0)
    elif way == "groups":
        fits = fit_many(X.reshape(-1, d), 2, groups=np.repeat(range(m), n), labels=labels.ravel(), random_state=0)
    else:
        rows = [X[i, :, :1] for i in range(m)]
        fits = fit_many(X[:, :, 0].T, 2, columns=True, labels=labels.T, random_state=0)
    for i in range(m):
        model = GMM(2, reg_covar="relative", random_state=0).fit(rows[i], labels=owns[i])
        assert_array_equal(fits.means[i], model.means_)
        assert_array_equal(fits.weights[i], model.weights_)


def test_numbers_that_do_not_hold_the_labels_are_left_out():
    X, labels = problems()
    fits = fit_many(X, [1, 2, 3], labels=labels, random_state=0)
    assert (fits.n_components >= 2).all()
    for bad, told in ((labels[:, :-1], "labels must have shape"), (labels.tolist()[:2], "labels must have shape")):
        with pytest.raises(ValueError, match=told):
            fit_many(X, 2, labels=bad)
    with pytest.raises(ValueError, match="labels must be a list of 4"):
        fit_many(list(X), 2, labels=list(labels[:2]))
    with pytest.raises(ValueError, match=r"problem 0 cannot be fitted: labels must be from 0 to 1"):
        fit_many(X, 2, labels=labels + 4 * (labels >= 0))


# The command line


@pytest.mark.parametrize("command", ["fit", "select"])
def test_a_column_of_labels(tmp_path, done, run, command):
    X, labels = labelled()
    path = tmp_path / "data.csv"
    pd.DataFrame({"u": X[:, 0], "known": labels, "v": X[:, 1]}).to_csv(path, index=False)
    done(command, path, "-k", 3, "--covariance", "full", "--labels", "known", "-o", tmp_path / "model.npz")
    found = GMM.load(tmp_path / "model.npz")
    if command == "fit":
        assert_array_equal(found.means_, GMM(3, reg_covar="relative", random_state=0).fit(X, labels=labels).means_)
    else:
        assert_array_equal(found.means_, select(X, 3, "full", labels=labels, random_state=0).best.means_)
    assert list(found.feature_names_in_) == ["u", "v"]
    code, _, told = run(command, path, "-k", 2, "--labels", "known")
    assert code == 1 and "labels" in told
    pd.DataFrame({"u": X[:, 0], "known": "oak", "v": X[:, 1]}).to_csv(path, index=False)
    code, _, told = run(command, path, "-k", 2, "--labels", "known")
    assert code == 2 and "cgmm classify" in told and len(told.splitlines()) == 1


# Uncertainty


@pytest.mark.parametrize("noise", [None, "uniform"])
def test_uncertainty_is_what_the_most_probable_component_leaves(noise):
    X = noisy(500)
    model = GMM(3, noise_component=noise, random_state=0).fit(X)
    parts = np.column_stack([model.predict_proba(X), model.noise_probability(X)])
    assert_allclose(model.uncertainty(X), 1 - parts.max(axis=1), rtol=1e-12, atol=1e-15)
    assert_array_equal(model.uncertainty(InOneBlock(X)), model.uncertainty(X))
    bayesian = BayesianGMM(3, random_state=0).fit(X)
    assert_allclose(bayesian.uncertainty(X), 1 - bayesian.predict_proba(X).max(axis=1), atol=1e-15)


class InOneBlock:
    """Rows in one block, each time anew."""

    names, mapped = None, False

    def __init__(self, X):
        self.X = X

    def blocks(self):
        yield self.X, None


def test_uncertainty_of_chunks_stays_there():
    da = pytest.importorskip("dask.array")
    X = noisy(500)
    model = GMM(3, random_state=0).fit(X)
    found = model.uncertainty(da.from_array(X, chunks=(200, 2)))
    assert hasattr(found, "compute") and found.shape == (500,)
    assert_allclose(found.compute(), model.uncertainty(X), rtol=1e-9, atol=1e-15)
