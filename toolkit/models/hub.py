"""KerasHub's vision transformers as flat graphs, and its weights under our names. It knows no head.
 KerasHub packs a whole encoder into one layer, and some of its layers cannot be read back from their own
configuration; so the blocks are laid out here one by one, and a preset's weights are renamed on the way in.
"""

import re
import tempfile
import warnings
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from toolkit.errors import InputError

Arrays = dict[str, NDArray[np.float32]]
BLOCK = re.compile(r"(?:vi|dei)_t_encoder/encoder_layers/(?:vi|dei)_t_encoder_block(?:_(\d+))?/(.+)/vars/(\d)")
STAGE = re.compile(r"swin_transformer_stage(?:_(\d+))?/(blocks/swin_transformer_block(?:_(\d+))?|downsample)/(.+)")
INSIDE = {  # a block's part: our class, how many of it a block has, which one it is
    "layer_norm_1": ("layer_normalization", 2, 0),
    "layer_norm_2": ("layer_normalization", 2, 1),
    "mlp/dense_1": ("dense", 2, 0),
    "mlp/dense_2": ("dense", 2, 1),
    "mlp/dense": ("dense", 2, 0),
    "output_layer/dense": ("dense", 2, 1),
}


def hub_module(name: str) -> Any:
    """KerasHub, or one line on how to install it."""
    try:
        import keras_hub
    except ImportError as error:
        remedy = "Install it: pip install 'touchstone-vision[hub]'."
        raise InputError(f"Expected KerasHub, for '{name}'. Received: {error}. {remedy}") from None
    return keras_hub


def swin(tensor: Any, *, name: str, width: int, depths: tuple[int, ...], window: int = 7) -> Any:
    """Normalised pixels (B, H, W, 3), H and W multiples of 32 * `window` -> tokens (B, H * W / 1024, 8 * width).

    Liu et al. (ICCV 2021, arXiv:2103.14030): windows of attention, every second one shifted, the map halved between
    stages. `width` is that of the first stage, each head has 32 numbers. No stochastic depth: KerasHub's
    block forgets it when it is read back from a file.
    """
    from keras import layers

    hub_module(name)
    # KerasHub's own, at every call of a block with shifted windows
    warnings.filterwarnings("ignore", r"Layer '\w+' \(of type WindowAttention\) was passed an input with a mask")
    from keras_hub.src.models.swin_transformer.swin_transformer_layers import PatchMerging, SwinTransformerBlock

    tensor = layers.Conv2D(width, 4, 4, kernel_initializer="lecun_normal", name="patches")(tensor)
    side, channels = tensor.shape[1:3], width
    tensor = layers.Reshape((-1, width), name="tokens")(tensor)
    tensor = layers.LayerNormalization(epsilon=1e-5, name="patches_norm")(tensor)
    for stage, depth in enumerate(depths, 1):
        for block in range(depth):
            tensor = SwinTransformerBlock(
                dim=channels,
                input_resolution=side,
                num_heads=channels // 32,
                window_size=window,
                shift_size=window // 2 if block % 2 else 0,
                name=f"stage{stage}_block{block + 1}",
            )(tensor)
        if stage < len(depths):
            tensor = PatchMerging(dim=channels, name=f"stage{stage}_halve")(tensor, H=side[0], W=side[1])
            side, channels = tuple(length // 2 for length in side), 2 * channels
    return layers.LayerNormalization(epsilon=1e-5, name="norm")(tensor)


def preset_weights(name: str, preset: str, folder: Path) -> Path:
    """KerasHub's preset (its name or a local folder) as a weights file in `folder`. Raises what KerasHub raises."""
    path = folder / "preset.weights.h5"
    hub_module(name).models.Backbone.from_preset(preset).save_weights(path)
    return path


def renamed(group: h5py.Group, folder: str) -> h5py.Group:
    """A file's weights under the paths that our flat graph has in Keras; other networks' as they are."""
    stored: Arrays = {}
    group["layers"].visititems(lambda path, item: _keep(stored, path, item))
    first = {path.split("/")[0] for path in stored}
    if first & {"vi_t_encoder", "dei_t_encoder"}:
        ours = _encoder(stored)
    elif "swin_transformer_stage" in first:
        ours = _swin(stored)
    else:
        return group
    file = h5py.File(Path(tempfile.mkdtemp(dir=folder), "renamed.h5"), "w")
    for path, array in ours.items():
        file[f"layers/{path}"] = array
    return file


def _keep(stored: Arrays, path: str, item: Any) -> None:
    if isinstance(item, h5py.Dataset) and "seed_generator" not in path:
        stored[path] = item[()]


def _counted(kind: str, number: int, rest: str) -> str:
    return f"{kind}_{number}/{rest}" if number else f"{kind}/{rest}"


def _encoder(stored: Arrays) -> Arrays:
    """ViT and DeiT: tokens and positions join in one layer, an encoder's blocks stand side by side."""
    ours: Arrays = {}
    tokens: dict[str, NDArray[np.float32]] = {}
    blocks = 1 + max(int(found[1] or 0) for path in stored if (found := BLOCK.match(path)))
    for path, array in stored.items():
        found, index = BLOCK.match(path), path.rsplit("/", 1)[-1]
        if found and found[2] in INSIDE:
            kind, times, place = INSIDE[found[2]]
            ours[_counted(kind, times * int(found[1] or 0) + place, f"vars/{index}")] = array
        elif found:  # mha/query_dense and so on
            inner = found[2].removeprefix("mha/")
            ours[_counted("multi_head_attention", int(found[1] or 0), f"{inner}/vars/{index}")] = array
        elif "/patch_embedding/" in path:
            ours[f"conv2d/vars/{index}"] = array
        elif "/layer_norm/" in path:
            ours[_counted("layer_normalization", 2 * blocks, f"vars/{index}")] = array
        else:
            tokens["position" if "position" in path or index == "2" else index] = array
    positions = tokens.pop("position")
    ours["tokens/vars/0"] = np.concatenate([tokens[index] for index in sorted(tokens)], axis=1)
    ours["tokens/vars/1"] = positions.reshape(1, *positions.shape[-2:])
    return ours


def _swin(stored: Arrays) -> Arrays:
    """Swin: a stage's blocks are counted through all stages."""
    depths: dict[int, int] = {}
    for path in stored:
        found = STAGE.match(path)
        if found and found[2] != "downsample":
            depths[int(found[1] or 0)] = max(depths.get(int(found[1] or 0), 0), 1 + int(found[3] or 0))
    ours: Arrays = {}
    for path, array in stored.items():
        found, index = STAGE.match(path), path.rsplit("/", 1)[-1]
        if found:
            stage = int(found[1] or 0)
            before = sum(depths[number] for number in range(stage))
            kind = "patch_merging" if found[2] == "downsample" else "swin_transformer_block"
            ours[_counted(kind, stage if kind == "patch_merging" else before + int(found[3] or 0), found[4])] = array
        elif path.startswith("patch_embedding/proj"):
            ours[f"conv2d/vars/{index}"] = array
        else:
            number = 0 if path.startswith("patch_embedding") else 1
            ours[_counted("layer_normalization", number, f"vars/{index}")] = array
    return ours
