"""Under which licence a backbone's published weights stand, where their publisher tells it. It knows no classifier."""

from toolkit.models.backbones import BACKBONES

# Of the weights that Keras fetches, by the family's beginning, as the documentation of `keras.applications` states it;
# of other families it states none.
LICENCES = {
    "VGG": "CC BY 4.0",
    "Xception": "MIT",
    "ResNet": "MIT",
    "InceptionV3": "Apache-2.0",
    "InceptionResNetV2": "Apache-2.0",
    "MobileNet": "Apache-2.0",
    "DenseNet": "BSD-3-Clause",
    "NASNet": "Apache-2.0",
}
UNKNOWN = "its publisher's"


def licence(backbone: str, weights: str) -> str:
    """Of the weights "imagenet" of a backbone by name; of those in a file only their publisher can tell."""
    if weights != "imagenet" or backbone not in BACKBONES:
        return UNKNOWN
    build = BACKBONES[backbone].build
    if build.startswith("MobileNetV3"):
        return UNKNOWN
    if build.startswith("ResNet") and build.endswith("V2"):
        return "BSD"
    return next((told for family, told in LICENCES.items() if build.startswith(family)), UNKNOWN)
