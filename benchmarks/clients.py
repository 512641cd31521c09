"""Programs that fit mixtures by scikit-learn, each with its own defaults: plain, and patched by cgmm.sklearn.

Prints a Markdown table: times, and how far apart the answers are. Clients that are not installed are left out;
.ci/clients installs them in an environment of their own, and has --check fail where an answer differs.
"""

import argparse
import contextlib
import importlib
import sys
import time
import warnings

import numpy as np

from cgmm import GMM
from cgmm.sklearn import patch_sklearn

CLOCK = [time.perf_counter]  # or time.process_time
AGREE = 1e-6  # Of scores, relative to the largest: a fit's iterates agree to rounding, a program may magnify it.


def clusters(n, d, k, seed=0):
    """Rows about k centres, and their labels."""
    rng = np.random.RandomState(seed)
    labels = rng.randint(k, size=n)
    return rng.randn(k, d)[labels] * 3 + rng.randn(n, d), labels


def lego_outliers(sklego, quick):
    X, _ = clusters(2000 if quick else 50_000, 6, 5)
    model = importlib.import_module("sklego.mixture").GMMOutlierDetector(n_components=5, random_state=0).fit(X)
    return {"scores": model.score_samples(X), "labels": model.predict(X)}


def lego_classifier(sklego, quick):
    X, y = clusters(2000 if quick else 50_000, 6, 4)
    model = importlib.import_module("sklego.mixture").GMMClassifier(n_components=4, random_state=0).fit(X, y)
    return {"scores": model.predict_proba(X), "labels": model.predict(X)}


def pyod_outliers(pyod, quick):
    X, _ = clusters(2000 if quick else 50_000, 8, 6)
    model = importlib.import_module("pyod.models.gmm").GMM(n_components=6, random_state=0).fit(X)
    return {"scores": model.decision_scores_, "labels": model.labels_, "again": model.decision_function(X[:1000])}


def fisher_vectors(skimage, quick):
    """A vocabulary of image descriptors, and the Fisher vectors of images in it."""
    feature = importlib.import_module("skimage.feature")
    images = [clusters(100 if quick else 2000, 32, 8, seed)[0] for seed in range(10)]
    model = feature.learn_gmm(images, n_modes=8, gm_args={"covariance_type": "diag", "random_state": 0})
    return {"scores": np.array([feature.fisher_vector(image, model) for image in images])}


def normalised_columns(rdt, quick):
    """What CTGAN does to columns of numbers first. Its mixture is a BayesianGaussianMixture."""
    pandas = importlib.import_module("pandas")
    numerical = importlib.import_module("rdt.transformers.numerical")
    n, d = (500, 1) if quick else (100_000, 2)  # of more columns each takes as long again
    columns = {f"c{j}": clusters(n, 1, 5, j)[0][:, 0] for j in range(d)}
    frame, found = pandas.DataFrame(columns), []
    for name in frame:
        transformer = numerical.ClusterBasedNormalizer()
        transformer.set_random_state(np.random.RandomState(0), "fit")
        transformer.fit(frame, name)
        mixture = transformer._bgm_transformer
        found.append([mixture.means_.ravel(), mixture.covariances_.ravel(), mixture.weights_])
    return {"scores": np.array(found)}


def census(ctgan, quick):
    """CTGAN's whole preprocessing of a table: a mixture for each column of numbers, and what a network sees of it."""
    pandas = importlib.import_module("pandas")
    transformer = importlib.import_module("ctgan.data_transformer").DataTransformer()
    n, d = (500, 2) if quick else (30_000, 3)
    frame = pandas.DataFrame({f"c{j}": clusters(n, 1, 5, j)[0][:, 0] for j in range(d)})
    frame["kind"] = np.array(["a", "b", "c"])[np.arange(n) % 3]
    np.random.seed(0)  # from which ctgan draws
    transformer.fit(frame, ["kind"])
    return {"scores": transformer.transform(frame)}


def graph_clusters(graspologic, quick):
    """Vertices, clustered by the best of several mixtures."""
    X, _ = clusters(300 if quick else 3000, 4, 4)
    model = importlib.import_module("graspologic.cluster").GaussianCluster(2, 5, "all", n_init=2, random_state=0)
    labels = model.fit_predict(X)
    return {"scores": np.array([model.bic_.to_numpy(dtype=float)]), "labels": labels}


def onnx(skl2onnx, quick):
    """A model that is converted, and run by onnxruntime."""
    from sklearn.mixture import GaussianMixture

    X, _ = clusters(2000 if quick else 50_000, 6, 5)
    model = GaussianMixture(5, random_state=0).fit(X)
    options = {id(model): {"score_samples": True}}
    text = skl2onnx.to_onnx(model, X[:1], options=options, target_opset=18).SerializeToString()
    session = importlib.import_module("onnxruntime").InferenceSession(text, providers=["CPUExecutionProvider"])
    labels, probabilities, scores = session.run(None, {session.get_inputs()[0].name: X})
    assert np.array_equal(labels.ravel(), model.predict(X))
    assert np.abs(scores.ravel() - model.score_samples(X)).max() < 1e-9
    return {"scores": probabilities, "labels": labels.ravel()}


def onnx_of_gmm(skl2onnx, quick):
    """A cgmm.GMM, by way of to_sklearn: what is run, and timed, is the ONNX model."""
    X, _ = clusters(2000 if quick else 50_000, 6, 5)
    model = GMM(5, random_state=0).fit(X)
    theirs = model.to_sklearn()
    text = skl2onnx.to_onnx(theirs, X[:1], options={id(theirs): {"score_samples": True}}, target_opset=18)
    run = importlib.import_module("onnxruntime").InferenceSession
    session = run(text.SerializeToString(), providers=["CPUExecutionProvider"])
    labels, _, scores = session.run(None, {session.get_inputs()[0].name: X})
    assert np.array_equal(labels.ravel(), model.predict(X))
    assert np.abs(scores.ravel() - model.score_samples(X)).max() < 1e-9
    return {"scores": scores, "labels": labels.ravel()}


def grid_search(sklearn, quick):
    """How many components a pipeline's mixture is to have, by three-fold cross-validation."""
    from sklearn.mixture import GaussianMixture
    from sklearn.model_selection import GridSearchCV
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    X, _ = clusters(1000 if quick else 20_000, 6, 5)
    pipe = make_pipeline(StandardScaler(), GaussianMixture(random_state=0))
    grid = {"gaussianmixture__n_components": [2, 4, 6], "gaussianmixture__covariance_type": ["full", "diag"]}
    return {"scores": GridSearchCV(pipe, grid, cv=3).fit(X).cv_results_["mean_test_score"]}


CLIENTS = {
    "scikit-learn: GridSearchCV": ("sklearn", grid_search),
    "scikit-lego: GMMOutlierDetector": ("sklego", lego_outliers),
    "scikit-lego: GMMClassifier": ("sklego", lego_classifier),
    "pyod: GMM": ("pyod", pyod_outliers),
    "scikit-image: Fisher vectors": ("skimage", fisher_vectors),
    "skl2onnx, onnxruntime": ("skl2onnx", onnx),
    "skl2onnx of cgmm.GMM": ("skl2onnx", onnx_of_gmm),
    "graspologic: GaussianCluster": ("graspologic", graph_clusters),
    "rdt: ClusterBasedNormalizer": ("rdt", normalised_columns),
    "ctgan: DataTransformer": ("ctgan", census),
}


def run(use, module, quick, patched):
    """Seconds, answers and warnings of a use."""
    with warnings.catch_warnings(record=True) as caught, patch_sklearn() if patched else contextlib.nullcontext():
        warnings.simplefilter("always")
        start = CLOCK[0]()
        answers = use(module, quick)
        seconds = CLOCK[0]() - start
    return seconds, answers, {(warning.category.__name__, str(warning.message)) for warning in caught}


def compared(use, module, quick, rounds):
    """Plain and patched in turns: the least seconds of each, the difference of scores and labels, new warnings."""
    run(use, module, True, patched=False)  # what is imported late
    runs = {False: [], True: []}
    for _ in range(rounds):
        for patched in runs:
            runs[patched].append(run(use, module, quick, patched))
    plain, patched = runs[False][0], runs[True][0]
    expected, found = (np.asarray(one[1]["scores"], dtype=float) for one in (plain, patched))
    labels = [one[1].get("labels") for one in (plain, patched)]
    return {
        "plain": min(one[0] for one in runs[False]),
        "patched": min(one[0] for one in runs[True]),
        "scores": float(np.abs(found - expected).max() / np.abs(expected).max()),
        "labels": None if labels[0] is None else int(np.sum(labels[0] != labels[1])),
        "warnings": sorted(patched[2] - plain[2]),
    }


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="few rows: whether they run, not how fast")
    parser.add_argument("--rounds", type=int, default=3, help="runs of each; the fastest counts; default 3")
    parser.add_argument("--only", nargs="+", default=list(CLIENTS), metavar="CLIENT", help="those of that name")
    parser.add_argument("--check", action="store_true", help="fail where answers differ or a warning is new")
    parser.add_argument("--processor-time", action="store_true", help="of all threads: for a machine that is busy")
    options = parser.parse_args(argv)
    if options.processor_time:
        CLOCK[0] = time.process_time
    print("| program | version | plain, s | patched, s | faster | scores differ | labels differ | new warnings |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    faults = []
    for name in options.only:
        package, use = CLIENTS[name]
        try:
            module = importlib.import_module(package)
        except ImportError:
            continue
        found = compared(use, module, options.quick, 1 if options.quick else options.rounds)
        version = getattr(module, "__version__", "")
        labels = "" if found["labels"] is None else found["labels"]
        print(
            f"| {name} | {version} | {found['plain']:.3g} | {found['patched']:.3g} | "
            f"{found['plain'] / found['patched']:.1f}× | {found['scores']:.1e} | {labels} | {len(found['warnings'])} |",
            flush=True,
        )
        if found["scores"] > AGREE or found["labels"] or found["warnings"]:
            faults.append((name, found))
    for name, found in faults:
        print(f"\n{name}: {found}", file=sys.stderr)
    return 1 if options.check and faults else 0


if __name__ == "__main__":
    sys.exit(main())
