"""What the examples compute and print is right. Building the documentation runs them whole, with their pictures."""

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

import reference
from cgmm import GMM
from datasets import LECTURE

FOLDER = Path(__file__).parent.parent / "examples"
SCRIPTS = sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
NUMBER = re.compile(r"-?\d+\.\d+")

pytestmark = pytest.mark.skipif(not SCRIPTS, reason="the examples are not here")


@pytest.fixture
def example(monkeypatch):
    """A function that imports an example."""
    monkeypatch.syspath_prepend(FOLDER)
    return importlib.import_module


@pytest.fixture
def told(capsys):
    """A function that calls another, and returns one that finds the numbers printed after a text, by line."""

    def call(function, *arguments):
        function(*arguments)
        lines = capsys.readouterr().out.splitlines()
        return lambda text: [
            [float(number) for number in NUMBER.findall(line.partition(text)[2])] for line in lines if text in line
        ]

    return call


@pytest.mark.parametrize("name", SCRIPTS)
def test_says_how_to_run_it(name, example, capsys):
    script = example(name)
    assert f"python examples/{name}.py --output FOLDER" in script.__doc__
    with pytest.raises(SystemExit) as stop:
        script.main(["--help"])
    assert stop.value.code == 0
    assert "--output" in capsys.readouterr().out


@pytest.mark.parametrize("rows", ["six_numbers", "six_points"])
def test_one_iteration_by_hand(rows, example, told):
    """To the six digits that are printed."""
    script = example("one_dimension")
    X, start = getattr(script, rows)()
    numbers = told(script.print_iteration, X, start)
    responsibilities = reference.responsibilities(X, *start, "full")
    weights, means, covariances = reference.maximise(X, None, responsibilities, "full")
    assert_allclose(numbers("responsibilities of component"), responsibilities.T, atol=6e-7)
    assert_allclose(numbers("n_k:"), [responsibilities.sum(axis=0)], atol=6e-7)
    assert_allclose(numbers("n_k / n:"), [weights], atol=6e-7)
    assert_allclose(numbers(": mean"), np.hstack([means, covariances.reshape(2, -1)]), atol=6e-7)
    before = reference.log_likelihoods(X, *start, "full").sum()
    after = reference.log_likelihoods(X, weights, means, covariances, "full").sum()
    assert_allclose(numbers("log-likelihood"), [[before, after]], atol=6e-5)


def test_two_groups_as_published(example, told):
    script = example("one_dimension")
    X, start = script.two_groups()
    expected = LECTURE["lec15_fit1d"]
    assert_allclose(start[1][:, 0], expected["mu0"], rtol=1e-12)
    snapshots = script.Snapshots(*script.SHOWN)
    numbers = told(script.print_fit, script.fit(X, start, snapshots), X)
    assert_allclose(numbers("weights:"), [[*expected["pi"], *script.TRUE_WEIGHTS]], atol=6e-5)
    assert_allclose(numbers("means:"), [[*expected["mu"], *script.TRUE_MEANS]], atol=6e-5)
    assert_allclose(numbers("deviations:"), [[*np.sqrt(expected["var"]), *script.TRUE_DEVIATIONS]], atol=6e-5)
    assert tuple(snapshots) == script.SHOWN
    assert_array_equal(snapshots[script.SHOWN[-1]].means_[:, 0].round(4), np.round(expected["mu"], 4))


@pytest.mark.parametrize(("seed", "trapped"), [(1, False), (78, True)])
def test_restarts_find_the_better_optimum(seed, trapped, example):
    script = example("restarts")
    X, groups, means = script.three_groups(seed)
    one, best = script.fit_from(means, X, script.Snapshots(121)), script.fit_often(X, n_init=10)
    assert_allclose(one.score(X) * len(X), LECTURE[f"lec15_fit2d_seed{seed}"]["ll_final"], rtol=1e-9)
    gain = (best.score(X) - one.score(X)) * len(X)
    assert gain > 50 if trapped else abs(gain) < 0.01
    assert script.agreement(best.predict(X), groups) > 0.9
    assert (script.agreement(one.predict(X), groups) < 0.8) == trapped


def test_the_history_rises_and_a_lost_component_comes_back(example):
    script = example("diagonal_history")
    X, clusters = script.three_clusters()
    model = script.fit(X)
    gains = np.diff(model.lower_bounds_)
    assert (gains > 0).all()
    assert gains[-1] < 1e-5 < gains[-2]
    assert script.agreement(model.predict(X), clusters) > 0.95
    found, message = script.fit_with_one_lost(X)
    assert "no row belonged to it" in message
    assert_allclose(found.lower_bound_, model.lower_bound_, atol=1e-5)


def test_kmeans_objective_by_iteration(example, told):
    script = example("kmeans_or_mixture")
    X, y, centres = script.stretched()
    one = script.kmeans(X, 3, init=centres, max_iter=9, tol=0)
    model = GMM(3, covariance_type="tied", n_init=10, random_state=0).fit(X)
    numbers = told(script.print_stretched, X, y, one, one, model)
    _, _, history = reference.kmeans(X, centres, 10, tol=0.0)
    assert_allclose(numbers("objective by iteration:"), [history], atol=6e-3)
    expected = LECTURE["comp755_kmeans_seed7_A"]
    assert_allclose(history[[0, -1]], [expected["objective_first"], expected["objective_final"]], rtol=1e-7)
    assert script.agreement(model.predict(X), y) > script.agreement(one.labels, y) + 0.05


def test_unit_variance_as_published(example, told):
    script = example("unit_variance")
    X, means = script.sample_and_start()
    numbers = told(script.print_fit, script.fit(X, means, script.Snapshots(*script.SHOWN)), X)
    start = np.full(3, 1 / 3), means, np.array([np.eye(2)] * 3)
    found, history = reference.em(X, *start, "full", 5, fixed=("covariances",))
    assert_allclose(history * len(X), LECTURE["comp755_mog_eps0.0"]["ll"], rtol=1e-12)
    assert_allclose([numbers(f"iteration {i}:") for i in range(1, 6)], history.reshape(5, 1, 1) * len(X), atol=6e-8)
    assert_allclose(numbers("  mean "), np.column_stack([found[1], found[0]]), atol=6e-4)


def test_the_family_that_rows_are_drawn_of_has_the_smallest_bic(example, capsys):
    script = example("families")
    models = script.fits(*script.sample())
    script.print_fits(models, script.sample()[0])
    assert "The smallest BIC has VEV" in capsys.readouterr().out
    likelihoods = {family: model.lower_bound_ for family, model in models.items()}
    assert max(likelihoods, key=likelihoods.get) == "VVV" and min(likelihoods, key=likelihoods.get) == "EII"


def test_strongest_digits_are_the_components_own(example):
    script = example("digits")
    X, _ = script.images()
    model = GMM(script.COMPONENTS, covariance_type="spherical", random_state=0).fit(X)
    responsibilities, strongest = model.predict_proba(X), script.strongest_rows(model, X)
    for c, rows in enumerate(strongest):
        assert_allclose(np.sort(responsibilities[rows, c]), np.sort(responsibilities[:, c])[-len(rows) :])
    assert_allclose(script.shares(model, X, np.arange(len(X)) % 10).sum(axis=1), 1)


def test_a_compressed_picture_is_of_k_colours(example):
    script = example("image_compression")
    picture = np.random.default_rng(0).random((20, 30, 3))
    model = GMM(5, random_state=0).fit(picture.reshape(-1, 3))
    compressed = script.compress(model, picture)
    labels = model.predict(picture.reshape(-1, 3)).reshape(20, 30)
    for c in range(5):
        assert_array_equal(compressed[labels == c], np.broadcast_to(model.means_[c], (np.sum(labels == c), 3)))
    bits_before, bits_after = 20 * 30 * 3 * 32, 20 * 30 * 3 + 8 * 3 * 32
    assert script.compression_rate(picture.shape, 8) == bits_before / bits_after


def test_held_out_rows_set_the_threshold(example):
    """What is flagged of them is what was asked for; and of unseen rows, less than by a threshold from learnt ones."""
    script = example("anomaly")
    benign, malignant = script.tumours()
    deals = [script.deal(benign, malignant, seed) for seed in range(10)]
    for scores in deals:
        assert len(scores.learnt) + len(scores.held_out) + len(scores.benign) == len(benign)
        limit = script.threshold(scores.held_out)
        assert abs(script.flagged(scores.held_out, limit) - script.FALSE_ALARMS) < 1 / len(scores.held_out)
        assert script.flagged(scores.malignant, limit) == np.mean(scores.malignant < limit) > 0.7
    by_learnt, by_held_out = (
        np.mean([script.flagged(scores.benign, script.threshold(getattr(scores, part))) for scores in deals])
        for part in ("learnt", "held_out")
    )
    assert by_learnt > by_held_out


def test_mixtures_of_classes_follow_any_shape(example, told):
    script = example("discriminant")
    X, y = script.rows_of_classes()
    models = script.models(X, y)
    numbers = told(script.print_models, models, script.few_labels(X, y))
    errors = [numbers(name)[0][-1] for name in models]
    assert errors == sorted(errors, reverse=True) and errors[-1] < 0.02 < 0.1 < errors[0]
    ((alone, helped),) = numbers("two components of each")
    assert helped < alone - 0.03


def test_the_banknotes_are_told_apart_as_by_mclust(example):
    """mclust 6.0.0: EDDA chooses EVE, one of 200 misjudged; MclustDA EVE, 2 and a normal distribution, BIC 1641.849."""
    script = example("banknotes")
    X, _, y = script.banknotes()
    edda, mixtures = script.models(X, y).values()
    assert edda.mixture_.covariance_type == "EVE" and edda.score(X, y) == 199 / 200
    assert edda.bic(X) < 1715.3
    assert [mixture.n_components for mixture in mixtures.mixtures_] == [2, 1]
    assert mixtures.bic(X) < 1641.9 and mixtures.score(X, y) == 1


def test_a_stream_is_followed(example, told):
    """By the half-life's model at its lag, of which it tells; by the other less and less."""
    script = example("stream")
    forgets, keeps = script.follow(forget=script.HALF_LIFE), script.follow()
    numbers = told(script.print_paths, forgets, keeps)
    ((behind,),) = numbers("the centres move by")
    assert_allclose(behind, 300 / np.log(2) / 50 * np.pi * 6 / 299, atol=0.005)
    assert_allclose(script.distances(forgets)[100:], behind, atol=0.25)
    assert script.distances(keeps)[-1] > 5 * behind
    with_one, without = numbers("Mean log-likelihood of the last")
    assert with_one[0] > without[0] + 1


def test_the_grid_search_finds_the_groups(example):
    script = example("scikit_learn_pipeline")
    found, _ = script.search(GMM(random_state=0), script.four_groups())
    assert script.best(found) == {"n_components": len(script.COUNTS), "covariance_type": "full"}


def test_a_mixture_fills_gaps_best(example, told):
    script = example("missing_values")
    whole = script.tumours()
    X = script.cut(whole, script.SHARE)
    gaps, model = np.isnan(X), script.mixture(X)
    fillings = script.filled(model, X)
    numbers = told(script.print_fillings, whole, X, fillings)
    for name, values in fillings.items():
        assert_array_equal(values[~gaps], whole[~gaps])
        expected = np.sqrt(np.mean((values - whole)[gaps] ** 2)), values[gaps].std()
        assert_allclose(numbers(name), [expected], atol=6e-4)
    errors = script.errors(whole, X, fillings)
    assert min(errors, key=errors.get) == "mixture, means"
    assert_allclose(fillings["mixture, draws"][gaps].std(), whole[gaps].std(), rtol=0.1)
    numbers = told(script.print_densities, whole, X, model)
    ((best,),), ((left,),), ((filled,),) = (numbers(of) for of in ("as they were: ", "of them:", "means of columns:"))
    assert best > left > filled + 2


def test_a_cluster_finds_the_groups(example, told, monkeypatch):
    """On whatever does the work; here, this thread."""
    script = example("cluster")
    monkeypatch.setattr(script, "ROWS", 2000)
    with script.dask.config.set(scheduler="synchronous"):
        X = script.made_by_workers()
        model, meter, seconds = script.fit(X)
    assert len(meter.seconds) == len(meter.bytes) == model.n_iter_ - 1
    ((found),) = told(script.report, X, model, meter, seconds)("weights:")
    k = len(script.SHARES)
    assert_allclose(found[:k], np.sort(model.weights_), atol=5e-5)
    assert_allclose(found[:k], found[k:], atol=0.02)


def test_components_die_until_two_are_left(example, told):
    """Of ten, whatever the order; and of the fits with one to six the lower bound of two is the highest."""
    script = example("as_many_as_needed")
    X = script.eruptions()
    model = script.fit(X)
    assert model.n_effective_ == 2 and len(told(script.print_fit, model)("mean")) == 2
    bounds = script.bounds_by_k(X, most=3)
    assert np.argmax(bounds) == 1
    numbers = told(script.print_predictive, X)
    assert numbers("predicted by the posterior")[0] > numbers("most likely normal distribution")[0]


def test_an_arm_reaches_its_points_by_modes(example):
    """Each mode leads to the point, to twice the tolerance; the mean of both sides' angles does not."""
    script = example("inverse_kinematics")
    model = script.learn(script.rows(4000))
    for point in script.POINTS[:1]:
        angles, modes = script.answers(model, point)
        assert {mode[1] > 0 for mode in modes} == {True, False}
        assert (script.misses(modes, point) < 4 * script.TOLERANCE).all()
        assert script.misses(angles.mean()[None], point)[0] > 6 * script.TOLERANCE


def test_scenarios_keep_what_they_promise(example):
    """The mixture's value at risk is exceeded as often as it says, one normal's in the tail many times as often."""
    script = example("scenarios")
    found, fresh = script.models(script.returns(script.DAYS)), script.returns(50_000, seed=1) @ script.PORTFOLIO
    exceeded = {name: np.mean(fresh < script.value_at_risk(model, 0.01)) for name, model in found.items()}
    assert 0.006 < exceeded["mixture"] < 0.014 and exceeded["one normal"] > 0.018
    banks = [script.stressed(model)[0].mean()[0] for model in found.values()]
    assert banks[0] < banks[1] - 1  # a fall tells that the day is stormy


def test_what_moves_is_found(example, told, monkeypatch):
    """In the part of the picture that has the lamp and one of the two things that pass by."""
    script = example("background")
    film, new, passing = (part[..., :38, 40:] for part in script.scene())
    monkeypatch.setattr(script, "LAMP", np.s_[6:18, 4:18])
    fits = script.fit(film)
    numbers = told(script.report, fits, script.moving(fits, film, new), passing)
    ((two,),), ((found,),), ((others,),) = (numbers(of) for of in ("lamp's pixels", "what passes by", "all others"))
    assert two > 97 and found > 99 and others < 2


def test_noise_is_kept_out_of_the_clusters(example, told):
    script = example("noise")
    X, own = script.cloud()
    models = script.fits(X, own)
    numbers = told(script.print_fits, models, X, own)
    for name in ("noise component", "and some known rows"):
        weight, found, error = numbers(name)[-1]
        assert abs(weight - script.NOISE / len(X)) < 0.02 and found > 0.9 and error < 0.2
    assert numbers("no noise component")[0][2] > 3
    assert_array_equal(models["and some known rows"].predict(script.CENTRES), range(3))


def test_the_numbers_of_a_census_are_told_by_their_modes(example, told):
    """Of each what the network sees is enough to know it again, but for the few that are clipped."""
    script = example("census")
    numbers, choices = script.census(3000)
    fits = script.fit(numbers)
    parts = script.encoded(fits, numbers, np.random.default_rng(0))
    ((clipped,),) = told(script.report, fits, parts, numbers, choices)("columns for the network;")
    assert clipped < 0.1
    seen = script.matrix(parts, choices)
    assert seen.shape == (3000, sum(1 + len(modes) for _, _, modes in parts) + 8)
    ones = seen.sum(axis=1) - sum(within for within, _, _ in parts)
    assert_allclose(ones, len(parts) + len(script.CHOICES), rtol=1e-14)  # a mode, or a choice, each
    assert np.abs(script.decoded(fits, parts) - numbers).max() < 0.1 * numbers.std(axis=0).max()


def test_components_are_merged_into_crescents(example):
    script = example("clusters")
    rows, own = script.crescents(400)
    clusters = script.combined_crescents(rows)
    assert clusters.model.n_components > 3
    assert script.agreement(clusters.predict(rows, 2), own) > 0.97


def test_a_wreath_has_fourteen_clusters(example):
    script = example("clusters")
    found = script.select(script.wreath(600)[0], (13, 14, 15), ("EEV",), n_init=5, random_state=0).best
    assert (found.n_components, found.covariance_type) == (script.CLUSTERS, "EEV")


def test_the_vignettes_numbers(example):
    """mclust's vignette: VVV, 3 with a BIC of 4734.53; 1 against 2 369.985, 2 against 3 121.107, of which the first is
    larger here, for the best of two components is more likely."""
    script = example("vignette")
    X, kinds = script.patients()
    found = script.likelihood_ratio_test(X, n_replicates=19, n_init=5, max_components=3, random_state=0)
    one, two = (test.statistic for test in found.tests)
    assert one > 369.985 and one + two > 369.985 + 121.107 - 0.02  # to what the tests' tol leaves
    assert found.best.bic(X) < 4734.55
    assert script.agreement(found.best.predict(X), kinds) > 0.85
    assert len(script.lakes()) == 155


def test_errors_that_are_known_are_taken_from_the_colours(example, told):
    script = example("photometric_errors")
    truth, _, measured, S = script.stars()
    models = script.fits(measured, S)
    denoised = models["errors known"].denoise(measured, S)
    numbers = told(script.print_fits, models, truth, measured, denoised)
    ((width,),), ((blurred,),), ((found,),) = (numbers(of) for of in ("Width of", "errors ignored:", "errors known:"))
    assert abs(found - width) < 0.1 * width and blurred > 1.4 * width
    ((before,),), ((after,),) = (numbers(of) for of in ("as measured:", "denoised:"))
    assert after < 0.75 * before
