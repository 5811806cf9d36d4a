"""The types that classifier.skops may hold: a list of our own, closed. It builds none of them.

skops trusts every public estimator of scikit-learn by itself. Some follow the numbers that they are given in compiled
code, where a forged one writes or reads memory that is not its own: on this list stand those that do not, and those
that `trees.py` and `vectors.py` look into. Not on it: GradientBoostingClassifier, whose trees add to an array as wide
as another number says (HistGradientBoostingClassifier takes its place), generators of random numbers whose state is a
place in memory, bound methods, partial functions.
"""

import io
import json
import zipfile
from collections.abc import Iterator
from typing import Any

from toolkit.errors import InputError

OURS = frozenset(
    {
        *(f"baselines.features.{name}" for name in ("HOGFeatures", "LBPFeatures", "PixelFeatures")),
        *(f"baselines.gridded.{name}Features" for name in ("Colour", "GLCM", "Gabor", "OpenCVHOG")),
        *(f"baselines.machines.{name}" for name in ("Calibrated", "PairwiseSVM", "SquaredHingeSVM")),
        *("baselines.approximate.KernelMap", "baselines.hinge.MinibatchSVM", "baselines.intel.IntelSVM"),
        *("baselines.svm.ChosenByRows", "baselines.heads.UnitScale"),
        *(f"toolkit.ensemble.{name}" for name in ("Bagging", "Seeds", "Snapshots", "Stacking", "Voting")),
        *("toolkit.deep_features.BackboneFeatures", "toolkit.training.recipe.Recipe", "toolkit.pipeline.policy.Policy"),
        "toolkit.artifact.parts.Stored",
    }
)
SCIKIT_LEARN = {  # module: types in it
    "calibration": "CalibratedClassifierCV _CalibratedClassifier _SigmoidCalibration _TemperatureScaling",
    "decomposition._pca": "PCA",
    "decomposition._truncated_svd": "TruncatedSVD",
    "discriminant_analysis": "LinearDiscriminantAnalysis QuadraticDiscriminantAnalysis",
    "dummy": "DummyClassifier",
    "ensemble._bagging": "BaggingClassifier",
    "ensemble._forest": "ExtraTreesClassifier RandomForestClassifier",
    "ensemble._hist_gradient_boosting.binning": "_BinMapper",
    "ensemble._hist_gradient_boosting.gradient_boosting": "HistGradientBoostingClassifier",
    "ensemble._hist_gradient_boosting.predictor": "TreePredictor",
    "ensemble._stacking": "StackingClassifier",
    "ensemble._voting": "VotingClassifier",
    "ensemble._weight_boosting": "AdaBoostClassifier",
    "feature_selection._variance_threshold": "VarianceThreshold",
    "frozen._frozen": "FrozenEstimator",
    "isotonic": "IsotonicRegression",
    "kernel_approximation": "AdditiveChi2Sampler Nystroem RBFSampler",
    "linear_model._logistic": "LogisticRegression LogisticRegressionCV",
    "linear_model._perceptron": "Perceptron",
    "linear_model._ridge": "RidgeClassifier",
    "linear_model._stochastic_gradient": "SGDClassifier",
    "_loss.link": "HalfLogitLink Interval LogitLink MultinomialLogit",
    "_loss.loss": "HalfBinomialLoss HalfMultinomialLoss",
    "model_selection._split": "KFold StratifiedKFold StratifiedShuffleSplit",
    "multiclass": "OneVsOneClassifier OneVsRestClassifier",
    "naive_bayes": "BernoulliNB ComplementNB GaussianNB MultinomialNB",
    "neighbors._classification": "KNeighborsClassifier",
    "neighbors._nearest_centroid": "NearestCentroid",
    "pipeline": "FeatureUnion Pipeline",
    "preprocessing._data": "MaxAbsScaler MinMaxScaler Normalizer PowerTransformer QuantileTransformer RobustScaler "
    "StandardScaler",
    "preprocessing._function_transformer": "FunctionTransformer",
    "preprocessing._label": "LabelBinarizer LabelEncoder",
    "svm._classes": "LinearSVC NuSVC SVC",
    "tree._classes": "DecisionTreeClassifier ExtraTreeClassifier",
    "tree._tree": "Tree",
    "utils._bunch": "Bunch",
}
TRUSTED = OURS | {f"sklearn.{module}.{name}" for module, names in SCIKIT_LEARN.items() for name in names.split()}
# How skops may build an object: the ways that only fill containers, arrays and attributes, and of what types. Where a
# whole module stands, skops' own list holds beside: NumPy's kinds of numbers, functions of numbers, losses.
WAYS: dict[str, frozenset[str]] = {
    "DictNode": frozenset({"builtins.dict", "collections.OrderedDict", "sklearn.utils._bunch.Bunch"}),
    "ListNode": frozenset({"builtins.list"}),
    "TupleNode": frozenset({"builtins.tuple"}),
    "SetNode": frozenset({"builtins.set"}),
    "SliceNode": frozenset({"builtins.slice"}),
    "JsonNode": frozenset({"builtins.str"}),
    "TypeNode": frozenset({"builtins", "numpy"}),
    "FunctionNode": frozenset({"numpy", "scipy.special"}),
    "NdArrayNode": frozenset({"numpy"}),
    "DTypeNode": frozenset({"numpy", "numpy.dtypes"}),
    "LossNode": frozenset({"sklearn._loss._loss", "_loss", "sklearn.linear_model._sgd_fast"}),
    "TreeNode": frozenset({"sklearn.tree._tree.Tree"}),
    "ObjectNode": TRUSTED,
    "RandomGeneratorNode": frozenset({"numpy.random._generator.Generator"}),  # of PCG64, as NumPy makes them
}


def check_types(data: bytes, doing: str) -> None:
    """Refuse skops' bytes that name a type, or a way to build one, that is not on the list; nothing is built."""
    import skops.io

    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        schema = json.loads(archive.read("schema.json"))
    unknown = {told for told in _named(schema) if told} | (set(skops.io.get_untrusted_types(data=data)) - TRUSTED)
    if unknown:
        raise InputError(
            f"Expected to {doing} a classifier of types that are on the list (ours, and those of scikit-learn that can "
            f"be checked). Received: {', '.join(sorted(unknown))}."
        )


def _named(node: Any) -> Iterator[str]:
    """For every object of skops' schema "" where it is on the list, and else its name."""
    if isinstance(node, dict):
        if "__loader__" in node:
            module, name = str(node.get("__module__")), str(node.get("__class__"))
            if node["__loader__"] == "RandomGeneratorNode" and _generator(node) != "PCG64":
                yield f"{module}.{name} of {_generator(node)}"
            known = WAYS.get(str(node["__loader__"]), frozenset())
            yield "" if f"{module}.{name}" in known or module in known else f"{module}.{name}"
        for value in node.values():
            yield from _named(value)
    elif isinstance(node, list):
        for value in node:
            yield from _named(value)


def _generator(node: dict[str, Any]) -> str:
    """Which algorithm a generator of random numbers has, as skops writes it."""
    state = node["content"]["bit_generator"]["content"]
    return str(json.loads(state["bit_generator"]["content"]))
