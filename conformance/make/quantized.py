"""BART of `transformers` whose matrices are int8, by PyTorch's dynamic quantization; the rest stays float32."""

from typing import Any

from conformance.adapters.transformers import Transformers


class Quantized(Transformers):
    """Weights in int8, one scale for a matrix or a column; what they are multiplied with is rounded as it comes."""

    def __init__(self, per_channel: bool = False) -> None:
        super().__init__("float32")
        self.per_channel = per_channel

    def load(self, args: dict[str, Any]) -> dict[str, Any]:
        """Load in float32, then quantize every linear layer."""
        found = super().load(args)
        quantization = self.torch.ao.quantization
        scheme = quantization.per_channel_dynamic_qconfig if self.per_channel else quantization.default_dynamic_qconfig
        kinds = {self.torch.nn.Linear: scheme}
        self.model = quantization.quantize_dynamic(self.model, kinds, dtype=self.torch.qint8)
        return found
