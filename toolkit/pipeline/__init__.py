"""From stored images to training batches: shuffled, gathered, augmented, fetched ahead. It knows no network."""

from toolkit.pipeline.batches import Batches, Subset, balanced_weights
from toolkit.pipeline.policy import POLICIES, Policy, policy_of

__all__ = ["POLICIES", "Batches", "Policy", "Subset", "balanced_weights", "policy_of"]
