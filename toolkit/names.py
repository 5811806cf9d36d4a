"""The names of all contestants, and what each is. It builds none.

Names stand here and not in the packages, so that `touchstone --help` and a misspelt name cost no TensorFlow.
"""

from dataclasses import dataclass

from toolkit.models.backbones import BACKBONES


@dataclass(frozen=True)
class Entry:
    """A line of the catalogue: classical, deep, or both, a backbone's features before a classical head."""

    side: str
    summary: str
    backbone: bool = False  # whether it has pretrained weights unless told
    features: str = ""  # of one composed of features and a head: a key of FEATURES or a backbone
    head: str = ""  # a key of HEADS
    tuned: bool = False  # whether that backbone is fine-tuned first


FEATURES = {
    "pixels": "raw pixels",
    "colour": "colour histograms",
    "texture": "co-occurrence and Gabor energies",
    "lbp": "local binary patterns",
    "hog": "oriented gradients",
    "hog_lbp": "oriented gradients and binary patterns",
    "hog_lbp_colour": "oriented gradients, binary patterns and colours",
}
HEADS = {
    "svm": "SVM with RBF kernel",
    "linear": "linear SVM",
    "logistic": "logistic regression",
    "forest": "random forest (Breiman 2001)",
    "bagging": "bagged trees (Breiman 1996)",
    "adaboost": "AdaBoost (Zhu et al. 2009)",
    "boosting": "histogram gradient boosting (Ke et al. 2017)",
}
BACKBONE_HEADS = ("svm", "linear", "logistic", "forest", "boosting")
TUNED = "_tuned"  # between a fine-tuned backbone and its head

CATALOGUE: dict[str, Entry] = {
    "hog_svm": Entry("classical", "histograms of oriented gradients, SVM (Dalal & Triggs 2005)"),
    "hog_svm_best": Entry("classical", "HOG beside LBP and the picture, as found best for Fashion-MNIST"),
    "lbp_svm": Entry("classical", "histograms of local binary patterns, SVM (Ojala et al. 2002)"),
    "hog_lbp_svm": Entry("classical", "HOG and LBP side by side, SVM"),
    "pixels_svm": Entry("classical", "raw pixels, SVM: what features have to beat"),
    "cnn": Entry("deep", "a small convolutional network with batch normalisation"),
    "resnet20": Entry("deep", "residual network of 20 layers, the CIFAR form (He et al. 2016)"),
    "resnet32": Entry("deep", "the same with 32 layers"),
    "resnet56": Entry("deep", "the same with 56 layers"),
    "resnet20_se": Entry("deep", "resnet20 that weighs its channels: squeeze and excitation (Hu et al. 2018)"),
    "resnet20_cbam": Entry("deep", "resnet20 that weighs channels and places (Woo et al. 2018)"),
    "resnet18": Entry("deep", "residual network of 18 layers, the ImageNet form"),
    "resnet34": Entry("deep", "the same with 34 layers"),
    "wide_resnet_16_4": Entry("deep", "16 layers, four times as wide (Zagoruyko & Komodakis 2016)"),
    "wide_resnet_28_10": Entry("deep", "28 layers, ten times as wide: 36 million parameters"),
    "vgg11": Entry("deep", "a plain stack of 3 x 3 convolutions (Simonyan & Zisserman 2015)"),
    "googlenet": Entry("deep", "convolutions of several sizes side by side (Szegedy et al. 2015)"),
    "inception": Entry("deep", "the same for small images (Zhang et al. 2017)"),
    "convnext_atto": Entry("deep", "a convolutional network in a transformer's proportions (Woo et al. 2023)"),
    "vit_tiny": Entry("deep", "vision transformer (Dosovitskiy et al. 2021, Touvron et al. 2021)"),
    "vit_small": Entry("deep", "the same, twice as wide"),
    "capsnet": Entry("deep", "capsules with dynamic routing (Sabour et al. 2017)"),
    **{
        name: Entry("deep", f"backbone trained on ImageNet at {row.size} pixels", backbone=True)
        for name, row in BACKBONES.items()
    },
    # hog_forest, colour_linear, ..., mobilenet_v2_svm, mobilenet_v2_tuned_linear
    **{
        f"{features}_{head}": Entry("classical", f"{seen}, {by}", features=features, head=head)
        for features, seen in FEATURES.items()
        for head, by in HEADS.items()
        if f"{features}_{head}" not in ("hog_svm", "lbp_svm", "hog_lbp_svm", "pixels_svm")
    },
    **{
        f"{name}{TUNED if tuned else ''}_{head}": Entry(
            "both", f"{name}{', fine-tuned' if tuned else ''}, {HEADS[head]}", True, name, head, tuned
        )
        for name in BACKBONES
        for tuned in (False, True)
        for head in BACKBONE_HEADS
    },
}
DEFAULTS = ("hog_svm", "lbp_svm", "cnn")  # who fights when nobody is named
