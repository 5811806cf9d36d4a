"""Models that a stranger has forged: refused in one line where they are read, and never asked."""

import copy
import hashlib
import io
import json
import shutil
import zipfile

import h5py
import numpy as np
import pytest
import skops.io
from made_models import kernel_machine, network, pictures
from numpy.testing import assert_allclose
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import (
    AdaBoostClassifier,
    BaggingClassifier,
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
    VotingClassifier,
)
from sklearn.naive_bayes import GaussianNB
from sklearn.neighbors import KNeighborsClassifier
from sklearn.pipeline import make_pipeline
from sklearn.svm import SVC, NuSVC
from sklearn.tree import DecisionTreeClassifier
from sklearn.tree._tree import Tree

import toolkit
from baselines import PixelFeatures, composed
from toolkit.artifact.licences import licence
from toolkit.artifact.network import _check_config
from toolkit.artifact.parts import LEARNED
from toolkit.artifact.trusted import TRUSTED
from toolkit.deep_features import BackboneFeatures
from toolkit.ensemble import Stacking
from toolkit.errors import InputError

SIDE = 6  # pixels that the pipelines below see


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    for name, model in (("kernel", kernel_machine()), ("network", network())):
        toolkit.save(model, folder / name, class_names=["a", "b", "c"])
    return folder


def behind(classifier):
    return make_pipeline(PixelFeatures(longest=SIDE), classifier).fit(*pictures())


def sealed(folder):
    """Make the card agree with the files, as a forger would."""
    card = json.loads((folder / "model.json").read_text())
    others = [path for path in folder.iterdir() if path.name != "model.json"]
    card["files"] = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in others}
    (folder / "model.json").write_text(json.dumps(card))


def planted(saved, tmp_path, forged, base="kernel"):
    """A folder whose classifier is the forged one, written as it is."""
    folder = tmp_path / "model"
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(saved / base, folder)
    (folder / "classifier.skops").write_bytes(skops.io.dumps(forged))
    sealed(folder)
    return folder


def refused(folder, words):
    with pytest.raises(InputError, match=words) as raised:
        toolkit.load_model(folder)
    assert "\n" not in str(raised.value)


def lie(tree, *, features=None, child=None, feature=None):
    """Another tree_ in place of a tree's own: of so many features, whose root leads there, whose nodes read that."""
    state = tree.tree_.__getstate__()
    nodes = state["nodes"].copy()
    if child is not None:
        nodes["left_child"][0] = nodes["right_child"][0] = child
    if feature is not None:
        nodes["feature"][nodes["left_child"] >= 0] = feature
    forged = Tree(features or tree.tree_.n_features, np.array([tree.tree_.n_classes[0]], np.intp), 1)
    forged.__setstate__({**state, "nodes": nodes})
    tree.tree_ = forged
    return tree


def far_child(forest):
    lie(forest.estimators_[0], child=10**8)


def endless(forest):
    lie(forest.estimators_[1], child=0)


def in_an_array(forest):
    far_child(forest)
    array = np.empty(len(forest.estimators_), object)
    array[:] = forest.estimators_
    forest.estimators_ = array


def wide_trees(forest):
    for tree in forest.estimators_:
        lie(tree, features=10**9, feature=5 * 10**8).n_features_in_ = 10**9


def of_no_width(forest):
    wide_trees(forest)
    del forest.n_features_in_


def unchecked(forest):
    wide_trees(forest)
    forest.n_features_in_ = 10**9
    forest._validate_X_predict = np.positive


def narrow_columns(bagging):
    bagging.estimators_features_ = [np.zeros(1, int) for _ in bagging.estimators_]


def columns_beyond(bagging):
    bagging.estimators_features_ = [columns + 10**6 for columns in bagging.estimators_features_]


def wide_lone(tree):
    lie(tree, features=10**9, feature=5 * 10**8)


def being_fitted(boosting):
    boosting._in_fit = True


def boosted_of_no_width(boosting):
    del boosting.n_features_in_


def boosted_far(boosting):
    boosting._predictors[0][0].nodes["left"][0] = 10**6


FOREST, BAGGING = (RandomForestClassifier(2, random_state=0), BaggingClassifier(n_estimators=2, random_state=0))
BOOSTING = HistGradientBoostingClassifier(max_iter=2, random_state=0)
LONE = DecisionTreeClassifier(random_state=0)
TREES = [
    *((FOREST, change) for change in (far_child, endless, in_an_array, wide_trees, of_no_width, unchecked)),
    *((BAGGING, change) for change in (narrow_columns, columns_beyond)),
    *((BOOSTING, change) for change in (being_fitted, boosted_of_no_width, boosted_far)),
    (LONE, wide_lone),
]


@pytest.mark.parametrize(("classifier", "change"), TREES, ids=[change.__name__ for _, change in TREES])
def test_trees_that_would_read_elsewhere_or_for_ever_are_refused(saved, tmp_path, classifier, change):
    model = behind(classifier)
    assert toolkit.load_model(planted(saved, tmp_path, model))
    change(model[-1])
    refused(planted(saved, tmp_path, model), r"classifier\.skops")


def test_a_tree_that_lies_about_its_rows_is_found_inside_others(saved, tmp_path):
    for holder in (AdaBoostClassifier(n_estimators=2, random_state=0), BAGGING):
        model = behind(holder)
        lie(model[-1].estimators_[0], features=10**9, feature=5 * 10**8)
        refused(planted(saved, tmp_path, model), "features")


def negative_counts(machine):
    counts = machine._n_support
    machine._n_support = np.array([-(10**8), 10**8 + counts.sum(), 0], np.int32)


def few_coefficients(machine):
    machine._dual_coef_ = machine._dual_coef_[:1].copy()


def few_intercepts(machine):
    machine._intercept_ = machine._intercept_[:1].copy()


def few_chances(machine):
    machine._probA = machine._probB = np.zeros(1)


def of_another_kind(machine):
    machine._impl = "epsilon_svr"


def of_its_rows(machine):
    machine.kernel = "precomputed"


def narrow_vectors(machine):
    machine.support_vectors_ = machine.support_vectors_[:, :3].copy()


VECTORS = (negative_counts, few_coefficients, few_intercepts, few_chances, of_another_kind, of_its_rows, narrow_vectors)


@pytest.mark.parametrize("change", VECTORS)
def test_support_vectors_that_do_not_fit_one_another_are_refused(saved, tmp_path, change):
    model = behind(SVC())
    assert toolkit.load_model(planted(saved, tmp_path, model))
    change(model[-1])
    refused(planted(saved, tmp_path, model), "SVC as fit leaves it")


def test_neighbours_of_a_class_that_is_not_there_are_refused(saved, tmp_path):
    model = behind(KNeighborsClassifier())
    assert toolkit.load_model(planted(saved, tmp_path, model))
    model[-1]._y = model[-1]._y + 10**6
    refused(planted(saved, tmp_path, model), "KNeighborsClassifier")


def test_an_estimator_of_scikit_learn_that_cannot_be_checked_is_not_on_the_list(saved, tmp_path):
    model = behind(GradientBoostingClassifier(n_estimators=2))
    refused(planted(saved, tmp_path, model), "GradientBoostingClassifier")
    with pytest.raises(InputError, match="GradientBoostingClassifier"):
        toolkit.save(model, tmp_path / "own")
    naive = behind(GaussianNB())
    naive[-1].random = np.random.RandomState(0)
    refused(planted(saved, tmp_path, naive), "RandomState")
    naive[-1].random = np.random.Generator(np.random.MT19937(0))
    refused(planted(saved, tmp_path, naive), "Generator of MT19937")


def test_the_list_names_types_that_there_are():
    from importlib import import_module

    for told in TRUSTED:
        module, _, name = told.rpartition(".")
        assert isinstance(getattr(import_module(module), name), type)


def stored(saved, **changes):
    data = (saved / "network" / "classifier.skops").read_bytes()
    found = skops.io.loads(data, trusted=sorted(TRUSTED))
    for name, value in changes.items():
        setattr(found, name, value)
    return found


STORED = {
    "no recipe": {"settings": {"model": None}},
    "a recipe of a number": {"settings": {"model": None, "recipe": 5}},
    "settings of a list": {"settings": [1]},
    "a file of a number": {"file": 5},
    "a file elsewhere": {"file": "../network/network_0.keras"},
    "a file that is not there": {"file": "network_7.keras"},
    "nothing learned": {"learned": None},
    "no classes": {"learned": {}},
}


@pytest.mark.parametrize("name", STORED)
def test_a_forged_place_of_a_network_is_one_line(saved, tmp_path, name):
    refused(planted(saved, tmp_path, stored(saved, **STORED[name]), "network"), "Expected")


def test_classes_that_are_not_the_networks_are_refused(saved, tmp_path):
    learned = {**stored(saved).learned, "classes_": np.arange(7)}
    refused(planted(saved, tmp_path, stored(saved, learned=learned), "network"), "as it was fitted")


def test_a_strangers_settings_name_no_place_to_write_to_and_no_method(saved, tmp_path):
    honest = stored(saved)
    there = str(tmp_path / "written.npz")
    settings = {**honest.settings, "checkpoint": there, "feature_cache": str(tmp_path / "cache"), "devices": ["cpu:0"]}
    learned = {**honest.learned, "predict_proba": 5, "fit": 3, "_network": 1, "devices_": 2}
    model = toolkit.load_model(planted(saved, tmp_path, stored(saved, settings=settings, learned=learned), "network"))
    assert (model.checkpoint, model.feature_cache, model.each_epoch, model.devices) == (None, None, None, None)
    assert not hasattr(model, "devices_")
    assert model.predict_proba(pictures()[0]).shape == (60, 3)


def test_what_a_network_learns_is_all_kept():
    assert set(network().learned()) == set(LEARNED)


def rezipped(path, change, **how):
    """The archive again, its members changed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    change(members)
    with zipfile.ZipFile(path, "w", **how) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def with_arrays(**how):
    def change(members):
        buffer = io.BytesIO(members["model.weights.h5"])
        with h5py.File(buffer, "r+") as file:
            file.create_dataset("bomb", **how)
        members["model.weights.h5"] = buffer.getvalue()

    return change


PACKED = {"compression": zipfile.ZIP_DEFLATED}
UNWRITTEN = {"shape": (2**34,), "chunks": (2**10,), "dtype": "f4"}  # takes no room, and would be read as zeros
BOMBS = {
    "a packed classifier": ("classifier.skops", dict, PACKED, "compressed"),
    "a packed network": ("network_0.keras", dict, PACKED, "compressed"),
    "packed weights": ("network_0.keras", with_arrays(data=np.zeros(2**16), compression="gzip"), {}, "compressed"),
    "weights of no bytes": ("network_0.keras", with_arrays(**UNWRITTEN), {}, "room for"),
}


@pytest.mark.parametrize("name", BOMBS)
def test_what_would_unpack_to_more_than_the_file_is_refused(saved, tmp_path, name):
    file, change, how, words = BOMBS[name]
    shutil.copytree(saved / "network", tmp_path / "model")
    rezipped(tmp_path / "model" / file, change, **how)
    sealed(tmp_path / "model")
    refused(tmp_path / "model", words)


@pytest.mark.parametrize("file", ["model.pkl", "notes.txt", "network_0.keras.bak"])
def test_a_file_that_no_model_has_is_refused_though_the_card_names_it(saved, tmp_path, file):
    folder = tmp_path / "model"
    shutil.copytree(saved / "network", folder)
    (folder / file).write_bytes(b"planted")
    sealed(folder)
    refused(folder, f"only .*Received: {file}")


def test_what_a_file_browser_leaves_is_ignored_and_links_are_refused(saved, tmp_path):
    folder = tmp_path / "model"
    shutil.copytree(saved / "kernel", folder)
    for name in (".DS_Store", "Thumbs.db"):
        (folder / name).write_bytes(b"x")
    assert toolkit.load_model(folder)
    for name in ("classifier.skops", "model.json"):
        (folder / name).unlink()
        (folder / name).symlink_to(saved / "kernel" / name)
        refused(folder, f"{name}.*a link")


@pytest.mark.parametrize(
    ("module", "name"),
    [("keras.activations", "deserialize"), ("keras.initializers", "get"), ("builtins", "eval")],
)
def test_a_function_that_is_no_activation_is_refused(module, name):
    named = {"module": module, "class_name": "function", "config": name, "registered_name": "function"}
    with pytest.raises(InputError, match=name):
        _check_config({"config": {"activation": named}}, "the file")
    _check_config({"config": {"activation": {**named, "module": "keras.activations", "config": "relu"}}}, "the file")


CARDS = {
    "a schema of truth": {"schema": True},
    "schema 0": {"schema": 0},
    "a schema below": {"schema": -3},
    "a number of names": {"class_names": 5},
    "no names": {"class_names": None},
    "few names": {"class_names": ["a"]},
    "a class beyond": {"classes": [0, 1, 7]},
    "a class below": {"classes": [0, 1, -1]},
    "a class twice": {"classes": [0, 1, 1]},
    "no classes": {"classes": None},
    "a shape of text": {"image_shape": "24"},
    "a shape of truth": {"image_shape": [True, True, True]},
    "a shape of four": {"image_shape": [24, 24, 1, 1]},
    "a huge shape": {"image_shape": [10**6, 10**6, 3]},
    "two channels": {"image_shape": [24, 24, 2]},
    "another fit": {"fit": "stretch"},
    "files of numbers": {"files": {"classifier.skops": 5}},
}


@pytest.mark.parametrize("name", CARDS)
def test_a_card_of_other_values_is_one_line(saved, tmp_path, name):
    shutil.copytree(saved / "kernel", tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), **CARDS[name]}))
    refused(tmp_path / "model", r"model\.json")


def test_what_an_older_version_saved_takes_the_new_parameters_default(saved, tmp_path):
    model = kernel_machine()
    older = copy.deepcopy(model)
    del older[0].levels, older[1].seed
    after = toolkit.load_model(planted(saved, tmp_path, older))
    images, _ = pictures(8, seed=5)
    assert_allclose(after.predict_proba(images), model.predict_proba(images), atol=1e-6)
    assert after.get_params()["hog__levels"] == 1


ROUNDS = {
    "adaboost": lambda: composed("pixels", "adaboost", trees=3),
    "bagging": lambda: composed("pixels", "bagging", trees=3),
    "boosting": lambda: composed("pixels", "boosting", rounds=2),
    "nystroem": lambda: composed("pixels", "svm", kernel="nystroem"),
    "fourier": lambda: composed("pixels", "svm", kernel="fourier"),
    "chi2": lambda: composed("pixels", "svm", kernel="chi2"),
    "auto": lambda: composed("pixels", "svm", kernel="auto"),
    "keras": lambda: composed("pixels", "svm", kernel="linear", engine="keras"),
    "votes of trees": lambda: make_pipeline(
        PixelFeatures(), VotingClassifier([("naive", GaussianNB()), ("tree", DecisionTreeClassifier())], voting="soft")
    ),
    "extra trees": lambda: make_pipeline(PixelFeatures(), ExtraTreesClassifier(3, random_state=0)),
    "neighbours": lambda: make_pipeline(PixelFeatures(), KNeighborsClassifier()),
    "isotonic": lambda: make_pipeline(PixelFeatures(), CalibratedClassifierCV(NuSVC(nu=0.3), method="isotonic", cv=2)),
    "stack": lambda: Stacking(
        [("forest", composed("pixels", "forest", trees=3)), ("naive", make_pipeline(PixelFeatures(), GaussianNB()))]
    ),
}


@pytest.mark.parametrize("name", ROUNDS)
def test_other_machines_answer_the_same_when_read_back(tmp_path, name):
    before = ROUNDS[name]().fit(*pictures(side=12))
    images, _ = pictures(20, side=12, seed=5)
    after = toolkit.load_model(toolkit.save(before, tmp_path / "model"))
    assert_allclose(after.predict_proba(images), before.predict_proba(images), atol=1e-6)


def test_features_of_a_backbone_are_read_back_and_their_weights_told_without_a_place(tmp_path):
    images, labels = pictures(rows=12, side=32, channels=3)
    features = BackboneFeatures("mobilenet_025", weights=None)
    model = composed(features, "logistic").fit(images, labels)
    features.weights = str(tmp_path / "private" / "mobilenet.weights.h5")  # as if it had begun with those
    features.size = 32
    folder = toolkit.save(model, tmp_path / "model")
    card = toolkit.read_card(folder)
    assert card["weights"] == ["mobilenet_025: mobilenet.weights.h5; licence: its publisher's"]
    assert "private" not in (folder / "model.json").read_text()
    after = toolkit.load_model(folder)
    assert_allclose(after.predict_proba(images), model.predict_proba(images), atol=1e-6)


@pytest.mark.parametrize(
    ("backbone", "weights", "told"),
    [
        ("vgg16", "imagenet", "CC BY 4.0"),
        ("resnet50", "imagenet", "MIT"),
        ("resnet50_v2", "imagenet", "BSD"),
        ("mobilenet_v2", "imagenet", "Apache-2.0"),
        ("mobilenet_v3_small", "imagenet", "its publisher's"),
        ("vgg16", "/some/file.h5", "its publisher's"),
        ("cnn", "imagenet", "its publisher's"),
    ],
)
def test_the_licence_is_told_where_keras_documents_it(backbone, weights, told):
    assert licence(backbone, weights) == told


def test_classes_without_names_name_themselves(tmp_path):
    images, labels = pictures(side=8)
    for own in (labels + 1, np.array(["x", "y", "z"])[labels]):
        model = make_pipeline(PixelFeatures(), GaussianNB()).fit(images, own)
        card = toolkit.read_card(toolkit.save(model, tmp_path / "model"))
        assert card["class_names"] == card["classes"] == sorted(set(map(str, own)))
    with pytest.raises(InputError, match="a name for each class"):
        toolkit.save(behind(GaussianNB()), tmp_path / "few", class_names=["a"])
