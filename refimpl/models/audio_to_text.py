"""The task that generates text from sound."""

import numpy as np

from refimpl.models.seq_2_seq_lm import Seq2SeqLM
from refimpl.presets import register


@register
class AudioToText(Seq2SeqLM):
    """Base of all models that write down what is said. Spec: task.audio-to-text"""

    def call_encoder(  # type: ignore[override]
        self, encoder_input_values: np.ndarray, padding_mask: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The encoder's output, and which of its frames are whole. Shapes: (B, N, 1), (B, N) -> (B, S, E), (B, S)."""
        batch = {self.backbone.source_key: encoder_input_values, "encoder_padding_mask": padding_mask}
        return self.backbone.encode(self.backbone.scope, batch)

    def _encode(self, source: np.ndarray, padding_mask: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return self.call_encoder(encoder_input_values=source, padding_mask=padding_mask)
