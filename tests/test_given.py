"""What a command line tells of networks: options and engine reach them, are part of the run, and are refused early."""

import json
import sys

import pytest

from toolkit.catalogue import contestants
from toolkit.cli.given import check_engine, options_of
from toolkit.contending import settings
from toolkit.errors import InputError


def test_an_option_is_that_of_every_network_that_has_it_or_of_the_one_named():
    names = ["hog_svm", "cnn", "resnet20", "mobilenet_v2"]
    texts = ["mirror=true", "dropout=0.1", "cnn.width=8", "mobilenet_v2.pooling=root"]
    assert options_of(texts, names, {}) == {
        "cnn": {"dropout": 0.1, "width": 8},
        "resnet20": {"dropout": 0.1},
        "mobilenet_v2": {"mirror": True, "dropout": 0.1, "pooling": "root"},
    }
    for texts in (["cnn.width=8", "width=16"], ["width=16", "cnn.width=8"]):  # its own goes before that of all
        assert options_of(texts, ["cnn", "vgg16"], {"vgg16": None})["cnn"] == {"width": 8}
    assert options_of(["vgg16.normalisation=none"], ["vgg16"], {"vgg16": None}) == {"vgg16": {"normalisation": "none"}}


@pytest.mark.parametrize(
    ("texts", "names", "says"),
    [
        (["mirror"], ["cnn"], "--option FIELD=VALUE or NAME.FIELD=VALUE. Received: 'mirror'"),
        (["mirror=true"], ["cnn", "resnet20"], "Unknown option of cnn, resnet20 'mirror'"),
        (["poolin=root"], ["mobilenet_v2"], "Did you mean 'pooling'"),
        (["pooling=rot"], ["mobilenet_v2"], "Unknown pooling 'rot'. Did you mean 'root'"),
        (["resnet2.width=8"], ["resnet20"], "Did you mean 'resnet20'"),
        (["width=wide"], ["cnn"], "width as a whole number.*Received: 'wide'"),
        (["weights=x.h5"], ["mobilenet_v2"], "Unknown option of mobilenet_v2 'weights'"),
        (["vgg16.normalisation=none"], ["vgg16"], "Unknown option of vgg16 'normalisation'"),  # ImageNet's weights
        (["width=8", "width=16"], ["cnn"], "Expected --option width once. Received: 8 and 16"),
        (["width=8"], ["hog_svm"], "Expected a network with --option. Received: hog_svm"),
    ],
)
def test_an_option_that_cannot_be_is_refused_with_what_is_known(texts, names, says):
    with pytest.raises(InputError, match=says):
        options_of(texts, names, {})


def test_options_and_engine_are_part_of_what_makes_a_run():
    def of(**told):
        weights = {"mobilenet_v2": "imagenet"}
        return contestants(["mobilenet_v2", "hog_svm"], (64, 64, 3), weights=weights, **told)

    plain, told = of(), of(options={"mobilenet_v2": {"mirror": True}}, engine="openvino")
    assert told["mobilenet_v2"].options == {"mirror": True, "weights": "imagenet"}
    assert told["mobilenet_v2"].engine == "openvino"
    assert settings(plain["mobilenet_v2"]) != settings(told["mobilenet_v2"])
    assert settings(plain["hog_svm"]) == settings(told["hog_svm"])


def test_what_was_tuned_gives_way_to_what_is_told():
    found = contestants(["cnn"], (16, 16, 1), values={"cnn": {"width": 48}}, options={"cnn": {"width": 8}})["cnn"]
    assert found.options["width"] == 8


def test_an_engine_is_refused_without_a_network_and_where_it_is_unknown():
    check_engine(None, ["hog_svm"])
    check_engine("keras", ["hog_svm", "cnn"])
    with pytest.raises(InputError, match=r"Expected a network with --engine\. Received: hog_svm"):
        check_engine("keras", ["hog_svm"])
    with pytest.raises(InputError, match="Did you mean 'openvino'"):
        check_engine("openvin", ["cnn"])


def test_the_command_hands_options_on(tmp_path, monkeypatch, capsys):
    from toolkit.cli import main

    told = ("--option", "width=4", "--option", "attention=se", "--engine", "keras", "--epochs", "1")
    monkeypatch.setattr(sys, "argv", ["touchstone", "train", "cnn", "digits", *told, "--out", str(tmp_path / "run")])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert not stopped.value.code, capsys.readouterr().err
    kept = json.loads((tmp_path / "run" / "training.json").read_text())["settings"]
    assert kept["options"] == {"width": 4, "attention": "se"}
    assert not (tmp_path / "run" / "checkpoint.npz").exists()
    assert (tmp_path / "run" / "model").is_dir()
