"""From stored images to training batches: shuffled, gathered, augmented, fetched ahead. It knows no network."""

from toolkit.pipeline.batches import Batches, Subset, balanced_weights
from toolkit.pipeline.files import FileImages
from toolkit.pipeline.policy import POLICIES, Policy, policy_of
from toolkit.pipeline.show import show_augmented

__all__ = ["POLICIES", "Batches", "FileImages", "Policy", "Subset", "balanced_weights", "policy_of", "show_augmented"]
