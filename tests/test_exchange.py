"""Mixtures to and from scikit-learn, files that are open, orders of components, masks, and labels that are unknown."""

import io
import pickle

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM

families = pytest.mark.parametrize("family", reference.FAMILIES)
RANDOM = np.random.RandomState(0)
X = RANDOM.randn(300, 2) + np.repeat([[0.0, 0], [6, 0], [0, 7]], 100, axis=0)
PARTS = ("weights_", "means_", "covariances_", "precisions_cholesky_")


def fitted(family="full", **settings):
    return GMM(3, covariance_type=family, random_state=0, **settings).fit(X)


# scikit-learn


@families
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_from_scikit_learn(family, dtype):
    mixture = pytest.importorskip("sklearn.mixture")
    theirs = mixture.GaussianMixture(3, covariance_type=family, random_state=0, tol=1e-4).fit(X.astype(dtype))
    ours = GMM.from_sklearn(theirs)
    for name in PARTS:
        same = assert_array_equal if dtype == np.float64 or name != "covariances_" else assert_allclose
        same(
            getattr(ours, name),
            getattr(theirs, name).astype(float),
            **{} if same is assert_array_equal else {"rtol": 1e-4},
        )
    # its log-determinants of float32 parameters are float32
    assert_allclose(ours.score_samples(X), theirs.score_samples(X), rtol=1e-12 if dtype == np.float64 else 1e-6)
    assert ours.converged_ == theirs.converged_ and ours.n_features_in_ == 2
    assert ours.get_params() == GMM(3, covariance_type=family, random_state=0, tol=1e-4).get_params()


@families
def test_to_scikit_learn_and_back(family, tmp_path):
    pytest.importorskip("sklearn")
    pandas = pytest.importorskip("pandas")
    ours = GMM(3, covariance_type=family, random_state=0, n_threads=1).fit(pandas.DataFrame(X, columns=["a", "b"]))
    theirs = ours.to_sklearn()
    rows = pandas.DataFrame(X, columns=["a", "b"])
    assert type(theirs).__module__ == "sklearn.mixture._gaussian_mixture"
    assert_allclose(theirs.score_samples(rows), ours.score_samples(rows), rtol=1e-11)
    assert_array_equal(theirs.predict(rows), ours.predict(rows))
    assert_allclose(theirs.bic(rows), ours.bic(rows), rtol=1e-11)
    assert theirs.n_iter_ == ours.n_iter_ and theirs.lower_bound_ == ours.lower_bound_
    assert theirs.get_params()["random_state"] == 0 and theirs.n_components == 3
    back = GMM.from_sklearn(theirs)
    for name in (*PARTS, "lower_bounds_", "feature_names_in_"):
        assert_array_equal(getattr(back, name), getattr(ours, name))


def test_arguments_that_scikit_learn_does_not_have():
    pytest.importorskip("sklearn")
    settings = {"n_init": "auto", "reg_covar": "relative", "init_params": lambda X, k, _: X[:k], "max_iter": 0}
    model = GMM.from_parameters([1.0], [[0.0]], [1.0], "spherical")
    theirs = model.set_params(**settings, random_state=np.random.default_rng(0), means_init=[[np.nan]]).to_sklearn()
    assert theirs.get_params() == type(theirs)(covariance_type="spherical").get_params()
    theirs.fit(X[:, :1])


def test_a_mixture_of_scikit_learn_s_that_was_put_together():
    mixture = pytest.importorskip("sklearn.mixture")
    model = mixture.GaussianMixture(2)
    with pytest.raises(ValueError, match="not fitted yet: it has no means_"):
        GMM.from_sklearn(model)
    model.weights_, model.means_ = np.array([0.5, 0.5]), np.array([[0.0, 1.0], [2.0, 3.0]])
    covariances = np.array([[[2.0, 1.0], [1.0, 2.0]]] * 2)
    model.precisions_cholesky_ = np.linalg.cholesky(np.linalg.inv(covariances))  # lower, as people write it
    ours = GMM.from_sklearn(model)
    assert_allclose(ours.covariances_, covariances, rtol=1e-13)
    assert_allclose(ours.score_samples(X), model.score_samples(X), rtol=1e-12)
    with pytest.raises(TypeError, match="posteriors"):
        GMM.from_sklearn(mixture.BayesianGaussianMixture(n_components=2).fit(X))
    with pytest.raises(TypeError, match="must be a GaussianMixture"):
        GMM.from_sklearn(X)
    model.means_ = np.zeros((3, 2))
    with pytest.raises(ValueError, match="not of the same sizes"):
        GMM.from_sklearn(model)


# Order


@families
def test_sorted_is_the_same_model(family):
    model = fitted(family).sorted("weights", reverse=True)
    assert (np.diff(model.weights_) <= 0).all()
    before = fitted(family)
    order = np.argsort(-before.weights_, kind="stable")
    assert_array_equal(model.precisions_cholesky_, before.precisions_cholesky_[order if family != "tied" else ...])
    assert_allclose(model.predict_proba(X), before.predict_proba(X)[:, order], atol=1e-14)
    assert_array_equal(model.diagnostics_.effective_counts, before.diagnostics_.effective_counts[order])
    assert model.lower_bound_ == before.lower_bound_ and model.n_iter_ == before.n_iter_
    assert model.get_params() == before.get_params()
    assert_allclose(model.partial_fit(X).means_, before.partial_fit(X).means_[order], rtol=1e-12)
    again = before.sorted("weights", reverse=True)  # of a stream, with what it remembers
    assert_allclose(again.partial_fit(X).means_, before.partial_fit(X).means_[np.argsort(-before.weights_)], rtol=1e-10)


def test_what_can_be_sorted_by():
    weights, means = [0.2, 0.3, 0.2, 0.3], [[1.0, 5], [1, 4], [0, 6], [2, 3]]
    model = GMM.from_parameters(weights, means, [4.0, 3, 2, 1], "spherical")
    orders = {
        "means": [2, 1, 0, 3],
        "weights": [0, 2, 1, 3],
        1: [3, 1, 0, 2],
        -1: [3, 1, 0, 2],
        lambda weight, mean, covariance: covariance[0, 0]: [3, 2, 1, 0],
        (3, 1, 2, 1): [1, 3, 2, 0],
    }
    for by, order in orders.items():
        assert_array_equal(model.sorted(by).means_, np.array(means)[order], err_msg=str(by))
    assert_array_equal(model.sorted("weights", reverse=True).means_, np.array(means)[[1, 3, 0, 2]])  # still stable
    pandas = pytest.importorskip("pandas")
    named = GMM(2, random_state=0).fit(pandas.DataFrame(X, columns=["a", "b"]))
    assert_array_equal(np.sort(named.means_[:, 1]), named.sorted("b").means_[:, 1])
    for bad, message in (
        ("c", "by must be one of .*'a', 'b'"),
        (2, "no feature"),
        ([1.0], "each of 2"),
        ([1, np.nan], "each"),
    ):
        with pytest.raises(ValueError, match=message):
            named.sorted(bad)


def test_repairs_keep_their_components():
    with pytest.warns(match="component"):
        model = GMM(3, weights_init=[0, 0.5, 0.5], means_init=[[1e5, 0], [0, 0], [6, 0]], random_state=0).fit(X)
    repaired = {repair.component for repair in model.diagnostics_.repairs}
    moved = {repair.component for repair in model.sorted([2, 1, 0]).diagnostics_.repairs}
    assert repaired and moved == {2 - component for component in repaired}


# Draws


def test_draws_of_a_seed_of_their_own():
    model = fitted()
    rows, labels = model.sample(50, random_state=3)
    again = model.sample(50, random_state=np.random.RandomState(3))
    other = fitted().set_params(random_state=3).sample(50)
    assert_array_equal(rows, other[0])
    assert again[0].shape == (50, 2) and not np.array_equal(rows, model.sample(50)[0])
    assert_array_equal(labels, model.sample(50, random_state=3)[1])
    for bad in (-1, "seed", 1.5):
        with pytest.raises(ValueError, match="random_state"):
            model.sample(5, random_state=bad)


# Files


@families
def test_files_that_are_open(family, tmp_path):
    model, file = fitted(family), io.BytesIO()
    file.write(b"before")
    model.save(file)
    file.seek(len(b"before"))
    loaded = GMM.load(file)
    assert_array_equal(loaded.score_samples(X), model.score_samples(X))
    with open(tmp_path / "model.npz", "wb") as file:
        model.save(file)
        assert not file.closed
    with open(tmp_path / "model.npz", "rb") as file:
        assert_array_equal(GMM.load(file).means_, model.means_)
    assert_array_equal(GMM.load(tmp_path / "model.npz").means_, model.means_)


def test_what_is_no_file():
    with pytest.raises(ValueError, match="the file cannot be loaded as a cgmm model: it is not an npz file"):
        GMM.load(io.BytesIO(b"something else"))
    for use in (fitted().save, GMM.load):
        with pytest.raises(TypeError, match="path must be a path or a file"):
            use(3)
        with pytest.raises(TypeError, match=r"open for bytes, as by mode '.b', not for text"):
            use(io.StringIO())


def test_a_folder_that_is_not_there_is_named(tmp_path):
    path = tmp_path / "none" / "model.npz"
    for use in (lambda: fitted().save(path), lambda: GMM(2, checkpoint=path).fit(X)):
        with pytest.raises(FileNotFoundError, match=r"No such folder.*none'$"):
            use()
    (tmp_path / "file").touch()
    with pytest.raises(NotADirectoryError, match=r"Not a folder.*file'$"):
        fitted().save(tmp_path / "file" / "model.npz")


# Masks


def masked(X=X, share=0.1):
    return np.ma.masked_where(np.random.RandomState(5).rand(*X.shape) < share, X)


@families
@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int64])
def test_what_a_mask_hides_is_missing(family, dtype):
    rows = masked(np.round(X * 10).astype(dtype))
    gaps = np.where(rows.mask, np.nan, rows.data.astype(np.float64))
    settings = {"covariance_type": family, "random_state": 0, "missing": "marginal"}
    one, other = (GMM(3, **settings).fit(table) for table in (rows, gaps))
    assert_array_equal(one.means_, other.means_)
    assert_array_equal(one.score_samples(rows), other.score_samples(gaps))
    assert_array_equal(one.impute(rows), other.impute(gaps).astype(one.impute(rows).dtype))
    blocks = GMM(3, **settings).fit([rows[:100], rows[100:200], rows[200:]])
    assert_allclose(blocks.means_, one.means_, rtol=1e-6)
    assert_array_equal(one.partial_fit(rows).means_, other.partial_fit(gaps).means_)


def test_a_mask_is_refused_where_nothing_may_be_missing():
    with pytest.raises(ValueError, match=r"X is masked.*missing='marginal'"):
        GMM(2).fit(masked())
    assert_array_equal(GMM(3, random_state=0).fit(masked(share=0)).means_, fitted().means_)


# Labels


@families
@pytest.mark.parametrize("weights", [None, np.arange(300) % 4 + 0.5])
def test_a_start_is_made_of_the_rows_whose_label_is_known(family, weights):
    labels = np.repeat([0, 1, 2], 100)
    known = np.arange(300) % 5 == 0
    partly = np.where(known, labels, -1)
    settings = {"covariance_type": family, "max_iter": 0, "random_state": 0}
    of_all = GMM(3, responsibilities_init=partly, **settings).fit(X, None, weights)
    own = None if weights is None else weights[known]
    of_some = GMM(3, responsibilities_init=labels[known], **settings).fit(X[known], None, own)
    for name in PARTS:
        assert_allclose(getattr(of_all, name), getattr(of_some, name), rtol=1e-12)
    model = GMM(3, covariance_type=family, responsibilities_init=partly, random_state=0).fit(X, None, weights)
    assert np.mean(model.predict(X) == labels) > 0.97


def test_some_label_is_known():
    for bad, message in (([-1] * 300, "all are −1"), ([-2] * 300, "or −1 where"), ([3] * 300, "from 0 to 2")):
        with pytest.raises(ValueError, match=message):
            GMM(3, responsibilities_init=bad).fit(X)


def test_estimators_that_were_sorted_and_made_can_be_pickled():
    for model in (
        fitted().sorted(),
        GMM.from_parameters([1.0], [[0.0, 0]], precisions=[1.0], covariance_type="spherical"),
    ):
        assert_array_equal(pickle.loads(pickle.dumps(model)).score_samples(X), model.score_samples(X))
