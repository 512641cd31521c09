"""Laws over random problems that are fitted in one call: each is the fit by itself, however problems are handed over.

``CGMM_FUZZ=100 pytest tests/test_fuzz*.py`` tries 100 times as many examples, others in each run.
"""

import warnings

import numpy as np
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import cgmm
import recipes
from cgmm import GMM, BayesianGMM
from cgmm.rows.part import Part, joined
from fuzzing import ERRORS, FITTED, POSTERIOR, differing, fuzzed
from ways import as_array, companions_of, part_of

SEEDS = st.integers(0, 2**31)
ONE_FIT = {"callback", "warm_start", "verbose", "learning_decay", "learning_rows", "forget"}
NOT_PLAIN = {"n_init", "accelerate"}
ARRAYS = ("weights", "means", "covariances", "converged", "n_iter", "n_components")
CRITERIA = ("log_likelihood", "aic", "bic")
many_fits = recipes.fits(noise=False).filter(lambda recipe: recipe.labels is None and recipe.stop is None)


# Each is the fit by itself


def arguments_for_many(recipe):
    """Those of GMM that fit_many has, too."""
    given = recipe.constructor(recipe.build())
    return {"reg_covar": 1e-6} | {name: value for name, value in given.items() if name not in ONE_FIT}


def brief(recipe):
    """With few iterations and starts: there are many fits of it."""
    return recipe._replace(arguments=tuple((dict(recipe.arguments) | {"max_iter": 4, "n_init": 1}).items()))


def quietly(action):
    """What an action returns, or raises of a documented error; and the texts of its warnings, none of them NumPy's."""
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            found = action()
        except ERRORS as error:
            found = error
    assert not any(issubclass(warning.category, RuntimeWarning) for warning in told), [str(one) for one in told]
    return found, tuple(str(warning.message) for warning in told)


def assert_is_that_of(fits, i, model, part, names=FITTED):
    """The i-th of many fits is what `model` learns of its rows: the same bits, or the same error; and the warnings
    are those that it gives, or would give with on_degenerate="warn"."""
    alone, _ = quietly(lambda: model.fit(part.rows, **companions_of(part)))
    if isinstance(alone, ERRORS):
        assert fits.errors[i] == str(alone)
        return
    assert i not in fits.errors, fits.errors
    assert not differing(fits[i], alone, names), differing(fits[i], alone, names)
    _, told = quietly(lambda: model.set_params(on_degenerate="warn").fit(part.rows, **companions_of(part)))
    assert fits.warnings.get(i, ()) == told


@fuzzed(60, recipe=many_fits, plain=st.sampled_from([True, True, False]))
def test_each_of_many_fits(recipe, plain):
    """Beside a problem that has nothing special; `plain` are those that may be compiled whole."""
    if plain:
        own = tuple((name, value) for name, value in recipe.arguments if name not in NOT_PLAIN)
        recipe = recipe._replace(start="kmeans", weights=None, means=None, precisions=None, fixed=(), prior="none")
        recipe = recipe._replace(arguments=own, known=0.0, errors="none")
    X, companions, arguments = recipe.build(), recipe.companions(), arguments_for_many(recipe)
    beside = np.random.default_rng(0).standard_normal((9 * recipe.k, recipe.rows.d))
    if recipe.means is not None:
        beside += np.resize(np.nan_to_num(np.asarray(arguments["means_init"], float)), beside.shape)
    given = {name: [None, values, None] for name, values in companions.items()}
    fits, _ = quietly(lambda: cgmm.fit_many([beside, X, beside], **given, on_error="skip", **arguments))
    assert_is_that_of(fits, 1, GMM(**arguments), Part(X, *companions.values()))


@fuzzed(12, drawn=recipes.posteriors())
def test_each_of_many_posteriors(drawn):
    recipe, priors = drawn
    X, companions = recipe.build(), recipe.companions()
    arguments = recipes.posterior_arguments(recipe, priors)
    beside = np.random.default_rng(0).standard_normal((9 * recipe.k, recipe.rows.d))
    given = {name: [None, values, None] for name, values in companions.items()}
    model = BayesianGMM(**arguments)
    fits, _ = quietly(lambda: cgmm.fit_many([beside, X, beside], **given, on_error="skip", model=model))
    assert_is_that_of(fits, 1, model, Part(X, *companions.values()), POSTERIOR)


# However problems are handed over


def problems_of(recipe, count):
    """Rows of a recipe, and of the same with other seeds; of native types, as NumPy makes all that it stacks."""
    kin = [recipe._replace(rows=recipe.rows._replace(seed=recipe.rows.seed + i)) for i in range(count)]
    parts = [part_of(as_array(one.build()), **one.companions()) for one in kin]
    return [part._replace(rows=part.rows.astype(part.rows.dtype.newbyteorder("="))) for part in parts]


def as_stack(parts, rng):
    """An array (m, n, d)."""
    whole = Part(*(None if values[0] is None else np.stack(values) for values in zip(*parts, strict=True)))
    return parts, whole, {}


def as_groups(parts, rng):
    """Rows of all groups, mixed, with labels of any type; each group's in their order, of which bits depend."""
    parts = [part.taken(slice(rng.integers(1, len(part.rows) + 1))) for part in parts]
    member = rng.permutation(np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts]))
    places = np.argsort(np.argsort(member, kind="stable"))
    names = [np.arange(9) - 3, np.array(list("abcdefghi")), np.arange(9) / 7, np.arange("2020", "2029", dtype="M8[Y]")]
    return parts, joined(parts).taken(places), {"groups": names[rng.integers(4)][member]}


def as_columns(parts, rng):
    """The columns of the first; errors of a column are variances."""
    whole = parts[0]
    if whole.errors is not None and whole.errors.ndim == 3:
        whole = whole._replace(errors=np.diagonal(whole.errors, axis1=1, axis2=2))
    columns = [slice(j, j + 1) for j in range(whole.rows.shape[1])]
    own = [None if whole.errors is None else whole.errors[:, column] for column in columns]
    return (
        [whole._replace(rows=whole.rows[:, j], errors=errors) for j, errors in zip(columns, own, strict=True)],
        whole,
        {"columns": True},
    )


FORMS = {"a stack": as_stack, "groups": as_groups, "columns": as_columns}


def as_list(parts):
    """What fit_many is given of a list of problems."""
    columns = zip(*parts, strict=True)
    X, *companions = (None if values[0] is None else list(values) for values in columns)
    return companions_of(Part(None, *companions)) | {"X": X}


def told_apart(values, fits, given):
    """What was found for the rows of all problems, problem by problem."""
    if "groups" in given:
        return [values[given["groups"] == label] for label in fits.labels]
    return values.T if "columns" in given else values


@fuzzed(10, recipe=many_fits.map(brief), m=st.integers(1, 3), form=st.sampled_from(sorted(FORMS)), seed=SEEDS)
def test_forms_of_problems(tmp_path_factory, recipe, m, form, seed):
    """An array, groups and columns are a list of their problems, in fits and verbs; and so is what a file keeps."""
    if form == "columns":  # of one feature each, which only some families, starts and priors fit
        family = recipe.family if recipe.family in recipes.FAMILIES else "full"
        recipe = recipe._replace(family=family, prior="none", fixed=(), weights=None, means=None, precisions=None)
    parts, whole, given = FORMS[form](problems_of(recipe, m), np.random.default_rng(seed))
    given, arguments = {"X": whole.rows} | given, companions_of(whole) | arguments_for_many(recipe)
    fits, _ = quietly(lambda: cgmm.fit_many(**given, **arguments, on_error="skip"))
    listed, _ = quietly(lambda: cgmm.fit_many(**arguments | as_list(parts), on_error="skip"))
    assert not isinstance(listed, Exception) and not isinstance(fits, Exception), (listed, fits)
    path = tmp_path_factory.getbasetemp() / "fits.npz"
    fits.save(path)
    for other, rows in ((listed, {"X": [part.rows for part in parts]}), (cgmm.Fits.load(path), given)):
        for name in (*ARRAYS, *CRITERIA, "errors", "warnings"):
            assert_array_equal(getattr(fits, name), getattr(other, name), err_msg=name)
        for verb in ("predict", "score_samples"):
            found, expected = getattr(fits, verb)(**given), getattr(other, verb)(**rows)
            if other is listed:
                found = told_apart(found, fits, given)
            for one, own in zip(found, expected, strict=True):
                assert_array_equal(one, own)
    raised, _ = quietly(lambda: cgmm.fit_many(**given, **arguments, on_error="raise"))
    assert isinstance(raised, ERRORS) == bool(fits.errors), raised
    if fits.errors:
        first = min(fits.errors)
        assert str(raised).startswith(f"problem {first}") and str(raised).endswith(fits.errors[first])


# Numbers of components


def rank(fits, i, criterion, part):
    """Of a problem's fit: the smallest is the best of several."""
    if i in fits.errors:
        return True, 0, np.inf
    if criterion == "icl":
        value = fits[i].icl(part.rows, part.weights, part.errors)
    else:
        value = -fits.lower_bound[i] if criterion is None else getattr(fits, criterion)[i]
    leans = criterion is not None and fits._ledger.leans(i)  # of posteriors the lower bound decides
    return False, bool(fits[i]._state.fit.degenerate) + leans, value


@fuzzed(10, drawn=st.one_of(many_fits, recipes.posteriors()), sizes=st.sets(st.integers(1, 5), min_size=2), seed=SEEDS)
def test_the_best_of_several_numbers(drawn, sizes, seed):
    """Of each problem the fit of the best number, by the criterion: the same bits as of that number alone."""
    recipe, priors = drawn if isinstance(drawn, tuple) and len(drawn) == 2 else (drawn, None)
    recipe = brief(recipe)._replace(known=0.0, weights=None, means=None, precisions=None, fixed=())
    criterion = None if priors is not None else ("bic", "aic", "icl")[seed % 3]
    if priors is None:
        arguments = arguments_for_many(recipe) | {"criterion": criterion}
        del arguments["n_components"]
    else:
        arguments = {"model": BayesianGMM(**recipes.posterior_arguments(recipe, priors))}
    parts = problems_of(recipe, 2)
    given = as_list(parts) | arguments | {"on_error": "skip"}
    fits, _ = quietly(lambda: cgmm.fit_many(n_components=sizes, **given))
    alone = [quietly(lambda k=k: cgmm.fit_many(n_components=k, **given))[0] for k in sorted(sizes)]
    assert not isinstance(fits, Exception), fits
    for i, part in enumerate(parts):
        best = min(alone, key=lambda one: rank(one, i, criterion, part))
        assert fits.errors.get(i) == best.errors.get(i) and fits.warnings.get(i) == best.warnings.get(i)
        if i not in fits.errors:
            names = FITTED if priors is None else POSTERIOR
            assert not differing(fits[i], best[i], names), (fits.n_components[i], best.n_components[i])
