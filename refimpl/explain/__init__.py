"""What a model does with a text: tokens, choices, attention, beams, cache, as numbers, as text and as a page."""

from refimpl.explain.explain import explain
from refimpl.explain.explanation import AttentionWeights, Explanation

__all__ = ["AttentionWeights", "Explanation", "explain"]
