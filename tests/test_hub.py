"""KerasHub's transformers: a preset that it wrote itself, read by our road, answers as KerasHub does."""

import importlib.util
from dataclasses import replace

import keras
import numpy as np
import pytest
from numpy.testing import assert_allclose

from toolkit.errors import InputError
from toolkit.models import feature_extractor, transfer
from toolkit.models.backbones import BACKBONES
from toolkit.models.transfer import PIXELS

needs_hub = pytest.mark.skipif(importlib.util.find_spec("keras_hub") is None, reason="needs the extra hub")
VIT = {"image_shape": (32, 32, 3), "patch_size": 16, "num_layers": 2, "num_heads": 3, "hidden_dim": 192}
SWIN = {"image_shape": (56, 56, 3), "embed_dim": 32, "depths": (2, 2), "num_heads": (1, 2), "window_size": 7}
HUB = {  # our name: KerasHub's class and its settings, for two blocks of the same width
    "deit_tiny": ("ViTBackbone", {**VIT, "mlp_dim": 768}),
    "deit_tiny_distilled": ("DeiTBackbone", {**VIT, "intermediate_dim": 768}),
    "swin_tiny": ("SwinTransformerBackbone", SWIN),
}


@pytest.fixture
def two_blocks(monkeypatch):
    """Our rows, as small as those of KerasHub above."""
    for name in ("deit_tiny", "deit_tiny_distilled"):
        row = BACKBONES[name]
        monkeypatch.setitem(BACKBONES, name, replace(row, size=32, options={**row.options, "blocks": 2}))
    small = {"options": {"width": 32, "depths": (2, 2)}, "size": 56, "smallest": 56, "multiple": 56}
    monkeypatch.setitem(BACKBONES, "swin_tiny", replace(BACKBONES["swin_tiny"], **small))


def preset(name, folder):
    """A network of KerasHub's with weights of no meaning, biases and norms too, and the folder that it writes."""
    import keras_hub

    kind, settings = HUB[name]
    keras.utils.set_random_seed(0)
    network = getattr(keras_hub.models, kind)(**settings)
    generator = np.random.default_rng(0)
    for weight in network.weights:
        if "seed" not in weight.path and "index" not in weight.path and "mask" not in weight.path:
            weight.assign(np.asarray(weight) + generator.normal(0, 0.05, weight.shape))
    network.save_to_preset(str(folder))
    return network


def features(network, name, images):
    """What KerasHub answers on pixels as the family wants them: the class token, or the tokens' average."""
    mean, deviation = (np.array(values, np.float32) for values in PIXELS[BACKBONES[name].pixels])
    answer = keras.ops.convert_to_numpy(network((images - mean) / deviation, training=False))
    tokens = answer.reshape(len(images), -1, answer.shape[-1])
    return tokens[:, 0] if BACKBONES[name].pooling == "token" else tokens.mean(axis=1)


@needs_hub
@pytest.mark.filterwarnings("ignore:Layer 'attn' .of type WindowAttention. was passed")  # of KerasHub's own network
@pytest.mark.parametrize("name", HUB)
def test_a_preset_is_read_and_answers_as_keras_hub_does(name, tmp_path, two_blocks):
    network = preset(name, tmp_path / "preset")
    size = BACKBONES[name].size
    images = np.random.default_rng(1).integers(0, 256, (3, size, size, 3), dtype=np.uint8)
    ours = transfer(name, (size, size, 3), 2, weights=tmp_path / "preset")
    found = keras.ops.convert_to_numpy(feature_extractor(ours)(images, training=False))
    assert_allclose(found, features(network, name, images), atol=1e-5, rtol=1e-5)


@needs_hub
def test_another_network_s_preset_is_named_as_the_user_did(tmp_path, two_blocks):
    preset("deit_tiny", tmp_path / "preset")
    with pytest.raises(InputError, match=r"weights of 'deit_small'\. Received others in .*/preset: ") as caught:
        transfer("deit_small", (32, 32, 3), 2, weights=tmp_path / "preset", size=32)
    assert "preset.weights.h5" not in str(caught.value)


@pytest.mark.parametrize("name", ["deit_tiny", "swin_tiny"])
def test_a_folder_that_is_no_preset_is_said_to_be_none(name, tmp_path):
    if name == "swin_tiny" and importlib.util.find_spec("keras_hub") is None:
        pytest.skip("needs the extra hub")
    with pytest.raises(InputError, match=r"preset folder of KerasHub for .*without config\.json"):
        transfer(name, (224, 224, 3), 2, weights=tmp_path)
