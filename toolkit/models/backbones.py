"""The table of pretrained backbones: who builds them, at what size, on what pixels. It knows no head."""

from dataclasses import dataclass, field
from typing import Any

POOLINGS = ("average", "root", "maximum", "token")


@dataclass(frozen=True)
class Backbone:
    """One row; `build` is a name in `keras.applications`, or "vit" or "swin", which take KerasHub's weights."""

    build: str
    pixels: str = "symmetric"  # a row of transfer.PIXELS: what its published weights were trained on
    size: int = 224  # pixels a side, of the published weights
    smallest: int = 32  # pixels a side that its strides leave something of
    options: dict[str, Any] = field(default_factory=dict)
    first: str = ""  # the first layer behind preprocessing that cannot be switched off
    preset: str = ""  # KerasHub's name of the published weights
    pooling: str = "average"
    multiple: int = 1  # of which the size must be one

    @property
    def fixed(self) -> bool:
        """Whether positions or windows tie the network to its size."""
        return self.build in ("vit", "swin")


RAW = {"include_preprocessing": False}
BEHIND = "stem_conv_pad"  # EfficientNet's first layer behind its own normalisation


def _vit(heads: int, pixels: str, *, blocks: int = 12, tokens: int = 1, preset: str = "") -> Backbone:
    options = {"heads": heads, "blocks": blocks, "patch": 16, "tokens": tokens}
    return Backbone("vit", pixels, options=options, preset=preset, pooling="token", multiple=16)


def _swin(width: int, depths: tuple[int, ...], preset: str) -> Backbone:
    options = {"width": width, "depths": depths}
    return Backbone("swin", "imagenet", smallest=224, options=options, preset=preset, multiple=224)


BACKBONES: dict[str, Backbone] = {
    "xception": Backbone("Xception", size=299, smallest=71),
    "vgg16": Backbone("VGG16", "caffe"),
    "vgg19": Backbone("VGG19", "caffe"),
    "resnet50": Backbone("ResNet50", "caffe"),
    "resnet101": Backbone("ResNet101", "caffe"),
    "resnet152": Backbone("ResNet152", "caffe"),
    "resnet50_v2": Backbone("ResNet50V2"),
    "resnet101_v2": Backbone("ResNet101V2"),
    "resnet152_v2": Backbone("ResNet152V2"),
    "inception_v3": Backbone("InceptionV3", size=299, smallest=75),
    "inception_resnet_v2": Backbone("InceptionResNetV2", size=299, smallest=75),
    "mobilenet": Backbone("MobileNet"),
    "mobilenet_025": Backbone("MobileNet", options={"alpha": 0.25}),
    "mobilenet_v2": Backbone("MobileNetV2"),
    "mobilenet_v3_small": Backbone("MobileNetV3Small", options=RAW),
    "mobilenet_v3_large": Backbone("MobileNetV3Large", options=RAW),
    "densenet121": Backbone("DenseNet121", "imagenet"),
    "densenet169": Backbone("DenseNet169", "imagenet"),
    "densenet201": Backbone("DenseNet201", "imagenet"),
    "nasnet_mobile": Backbone("NASNetMobile"),
    "nasnet_large": Backbone("NASNetLarge", size=331),
    "efficientnet_b0": Backbone("EfficientNetB0", "imagenet", first=BEHIND),
    "efficientnet_b1": Backbone("EfficientNetB1", "imagenet", 240, first=BEHIND),
    "efficientnet_b2": Backbone("EfficientNetB2", "imagenet", 260, first=BEHIND),
    "efficientnet_b3": Backbone("EfficientNetB3", "imagenet", 300, first=BEHIND),
    "efficientnet_b4": Backbone("EfficientNetB4", "imagenet", 380, first=BEHIND),
    "efficientnet_b5": Backbone("EfficientNetB5", "imagenet", 456, first=BEHIND),
    "efficientnet_b6": Backbone("EfficientNetB6", "imagenet", 528, first=BEHIND),
    "efficientnet_b7": Backbone("EfficientNetB7", "imagenet", 600, first=BEHIND),
    "efficientnet_v2_b0": Backbone("EfficientNetV2B0", "imagenet", options=RAW),
    "efficientnet_v2_b1": Backbone("EfficientNetV2B1", "imagenet", 240, options=RAW),
    "efficientnet_v2_b2": Backbone("EfficientNetV2B2", "imagenet", 260, options=RAW),
    "efficientnet_v2_b3": Backbone("EfficientNetV2B3", "imagenet", 300, options=RAW),
    "efficientnet_v2_s": Backbone("EfficientNetV2S", "v2", 384, options=RAW),
    "efficientnet_v2_m": Backbone("EfficientNetV2M", "v2", 480, options=RAW),
    "efficientnet_v2_l": Backbone("EfficientNetV2L", "v2", 480, options=RAW),
    "convnext_tiny": Backbone("ConvNeXtTiny", "imagenet", options=RAW),
    "convnext_small": Backbone("ConvNeXtSmall", "imagenet", options=RAW),
    "convnext_base": Backbone("ConvNeXtBase", "imagenet", options=RAW),
    "convnext_large": Backbone("ConvNeXtLarge", "imagenet", options=RAW),
    "convnext_xlarge": Backbone("ConvNeXtXLarge", "imagenet", options=RAW),
    # Weights by path, or published by KerasHub (the extra `hub`), which swin needs in any case
    "vit_base_16": _vit(12, "symmetric", preset="vit_base_patch16_224_imagenet"),
    "vit_large_16": _vit(16, "symmetric", blocks=24, preset="vit_large_patch16_224_imagenet"),
    "deit_tiny": _vit(3, "imagenet"),
    "deit_small": _vit(6, "imagenet"),
    "deit_base": _vit(12, "imagenet"),
    "deit_tiny_distilled": _vit(3, "imagenet", tokens=2, preset="deit_tiny_distilled_patch16_224_imagenet"),
    "deit_small_distilled": _vit(6, "imagenet", tokens=2, preset="deit_small_distilled_patch16_224_imagenet"),
    "deit_base_distilled": _vit(12, "imagenet", tokens=2, preset="deit_base_distilled_patch16_224_imagenet"),
    "swin_tiny": _swin(96, (2, 2, 6, 2), "swin_tiny_patch4_window7_224"),
    "swin_small": _swin(96, (2, 2, 18, 2), "swin_small_patch4_window7_224"),
    "swin_base": _swin(128, (2, 2, 18, 2), "swin_base_patch4_window7_224"),
}
