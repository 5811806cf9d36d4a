"""The table of networks that drives the tests: whose numbers they are held to, and their quick forms."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import keras

from toolkit.models.backbones import BACKBONES


class Row(NamedTuple):
    """A published size; `options` take away what the paper did not have."""

    name: str
    image_shape: tuple[int, int, int]
    classes: int
    parameters: int  # trainable
    source: str
    options: Mapping[str, Any] = MappingProxyType({})


PLAIN = {"normalisation": "none"}  # the paper's, before BatchNorm
SIZES = [
    Row(
        "vgg11", (224, 224, 3), 1000, 132_863_336, "Simonyan & Zisserman 2015, table 2: 133 M; torchvision vgg11", PLAIN
    ),
    Row("vgg16", (224, 224, 3), 1000, 138_357_544, "table 2: 138 M; keras.applications.VGG16", PLAIN),
    Row("resnet20", (32, 32, 3), 10, 269_722, "He et al. 2016, table 6: 0.27 M; akamaster/pytorch_resnet_cifar10"),
    Row("resnet32", (32, 32, 3), 10, 464_154, "table 6: 0.46 M; akamaster"),
    Row("resnet56", (32, 32, 3), 10, 853_018, "table 6: 0.85 M; akamaster"),
    Row("resnet18", (224, 224, 3), 1000, 11_689_512, "torchvision resnet18"),
    Row("resnet34", (224, 224, 3), 1000, 21_797_672, "torchvision resnet34"),
    Row("wide_resnet_16_4", (32, 32, 3), 10, 2_748_890, "Zagoruyko & Komodakis 2016, table 4: 2.8 M"),
    Row("wide_resnet_28_10", (32, 32, 3), 10, 36_479_194, "table 4: 36.5 M"),
    # 9 blocks, each C x m + m + m x C + C with m = 4 in the middle: 3 x (148 + 292 + 580) more than resnet20
    Row("resnet20_se", (32, 32, 3), 10, 269_722 + 3_060, "resnet20 and equation 3 of Hu et al. 2018"),
    Row("resnet20_cbam", (32, 32, 3), 10, 269_722 + 3_060 + 9 * 7 * 7 * 2, "the same and a 7 x 7 convolution a block"),
    Row(
        "googlenet",
        (224, 224, 3),
        1000,
        6_998_552,
        "Szegedy et al. 2015, table 1 with biases; Caffe's bvlc_googlenet",
        PLAIN,
    ),
    Row("inception", (28, 28, 3), 10, 1_649_402, "Zhang et al. 2017, table 1: 1,649,402", PLAIN),
    Row("vit_tiny", (224, 224, 3), 1000, 5_717_416, "Touvron et al. 2021, table 1: 5 M; timm vit_tiny_patch16_224"),
    Row("vit_small", (224, 224, 3), 1000, 22_050_664, "table 1: 22 M; timm vit_small_patch16_224"),
    Row("convnext_atto", (224, 224, 3), 1000, 3_695_520, "Woo et al. 2023, table 9: 3.7 M"),
    Row("capsnet", (28, 28, 1), 10, 8_215_568, "Sabour et al. 2017, section 5: 8.2 M"),
    Row("capsnet", (28, 28, 1), 10, 6_804_224, "6.8 M without reconstruction", {"reconstruction": 0}),
    # 3 x 3 convolutions to 32, 64, 64, 128 and 128 channels, two values a channel of BatchNorm; the classes
    Row("cnn", (32, 32, 3), 10, 279_466, "ours"),
    # One of each family that may begin with weights; a dense layer of 1,000 behind the average, as published
    Row("xception", (299, 299, 3), 1000, 22_855_952, "Chollet 2017, table 3: 22,855,952"),
    Row("vgg19", (224, 224, 3), 1000, 20_024_384 + 512_000 + 1000, "keras.applications, without its dense layers"),
    Row("resnet50", (224, 224, 3), 1000, 25_583_592, "keras.applications; torchvision and 26,560 biases before norms"),
    Row("resnet50_v2", (224, 224, 3), 1000, 25_568_360, "keras.applications"),
    Row("inception_v3", (299, 299, 3), 1000, 23_817_352, "keras.applications"),
    Row("inception_resnet_v2", (299, 299, 3), 1000, 55_813_192, "keras.applications"),
    Row("mobilenet", (224, 224, 3), 1000, 4_231_976, "Howard et al. 2017, table 4: 4.2 M; keras.applications"),
    Row("mobilenet_v2", (224, 224, 3), 1000, 3_504_872, "torchvision mobilenet_v2; keras.applications"),
    # 1.5 M of torchvision's 2,542,856: its last convolution of 1,024 is part of the head that is left behind
    Row("mobilenet_v3_small", (224, 224, 3), 1000, 2_542_856 - 590_848 - 1_025_000 + 577_000, "torchvision"),
    Row("densenet121", (224, 224, 3), 1000, 7_978_856, "torchvision densenet121"),
    Row("nasnet_mobile", (224, 224, 3), 1000, 5_289_978, "Zoph et al. 2018, table 2: 5.3 M; keras.applications"),
    Row("efficientnet_b0", (224, 224, 3), 1000, 5_288_548, "torchvision efficientnet_b0"),
    Row("efficientnet_v2_b0", (224, 224, 3), 1000, 7_139_704, "keras.applications"),
    Row("convnext_tiny", (224, 224, 3), 1000, 28_589_128, "torchvision convnext_tiny"),
    Row("vit_base_16", (224, 224, 3), 1000, 86_567_656, "torchvision vit_b_16"),
    Row("deit_tiny", (224, 224, 3), 1000, 5_717_416, "Touvron et al. 2021, table 1: 5 M; timm deit_tiny_patch16_224"),
    Row("swin_tiny", (224, 224, 3), 1000, 28_288_354, "torchvision swin_t"),
]
SECONDS = {row.name for row in SIZES if row.name in BACKBONES} - {"mobilenet_v2", "resnet50", "deit_tiny", "vgg16"}


def family(backbone: str) -> str:
    """The module of `keras.applications` that builds it, or the kind of transformer."""
    build = BACKBONES[backbone].build
    return build if build in ("vit", "swin") else getattr(keras.applications, build).__module__


# The deeper member of a family adds a minute and little news: marked `thorough` where a test trains or saves it.
DEEPER = {
    "vgg16",
    "resnet32",
    "resnet56",
    "resnet20_se",
    "resnet18",
    "resnet34",
    "wide_resnet_28_10",
    "googlenet",
    "vit_small",
}
# Forms small enough to overfit 32 images in seconds on two cores: (options, learning rate, most steps).
QUICK: dict[str, tuple[dict, float, int]] = {
    "cnn": ({"width": 8, "dropout": 0.0}, 1e-2, 60),
    "vgg11": ({"dropout": 0.0}, 1e-3, 60),
    "vgg16": ({"dropout": 0.0}, 1e-3, 60),
    "resnet20": ({}, 1e-2, 60),
    "resnet32": ({}, 1e-2, 60),
    "resnet56": ({}, 1e-2, 60),
    "resnet20_se": ({}, 1e-2, 60),
    "resnet20_cbam": ({}, 1e-2, 60),
    "resnet18": ({"width": 16}, 1e-2, 60),
    "resnet34": ({"width": 16}, 1e-2, 60),
    "wide_resnet_16_4": ({"width": 16}, 1e-2, 60),
    "wide_resnet_28_10": ({"width": 16}, 1e-2, 60),
    "googlenet": ({"dropout": 0.0}, 2e-3, 60),
    "inception": ({}, 2e-3, 60),
    "vit_tiny": ({"blocks": 4}, 1e-3, 80),
    "vit_small": ({"blocks": 2}, 1e-3, 80),
    "convnext_atto": ({"stages": ((1, 16), (1, 32), (1, 64), (1, 64))}, 5e-3, 150),
    "capsnet": ({"filters": 32, "capsules": 4}, 5e-3, 100),
}
