"""T5's forward pass in MLX, over the weights of a KerasHub file."""

from typing import Any

import numpy as np

BUCKETS, MAX_DISTANCE = 32, 128


class T5:
    """1.0 and 1.1: pre-norm, relative positions, no biases, gates and a head of its own where the sizes say so."""

    def __init__(self, mx: Any, nn: Any, sizes: dict[str, Any], weights: dict[str, Any]) -> None:
        self.mx, self.nn = mx, nn
        self.sizes, self.weights = sizes, weights

    def logits(self, decoded: Any) -> Any:
        """Scores of all tokens, scaled where the token table is the head."""
        if self.sizes["tie_embedding_weights"]:
            return decoded * self.sizes["hidden_dim"] ** -0.5 @ self.weights["reversible_embedding/vars/0"].T
        return decoded @ self.weights["reversible_embedding/vars/1"]

    def forward(self, batch: dict[str, Any]) -> tuple[Any, Any]:
        """Encoder and decoder."""
        layers = self.sizes["num_layers"]
        seen = batch["encoder_padding_mask"][:, None, None, :]
        x = self.weights["reversible_embedding/vars/0"][batch["encoder_token_ids"]]
        bias = self.bias(x.shape[1], 0, True)
        for layer in range(layers):
            x = self.feed_forward(layer, self.attend(layer, "self", x, None, seen, bias))
        x = self.norm("t5_layer_norm", x)
        y = self.weights["reversible_embedding/vars/0"][batch["decoder_token_ids"]]
        length = y.shape[1]
        earlier = self.mx.tri(length, length).astype(self.mx.bool_) & batch["decoder_padding_mask"][:, None, None, :]
        bias = self.bias(length, layers, False)
        for layer in range(layers, 2 * layers):
            y = self.attend(layer, "self", y, None, earlier, bias)
            y = self.feed_forward(layer, self.attend(layer, "cross", y, x, seen, 0.0))
        return x, self.norm("t5_layer_norm_1", y)

    def part(self, layer: int, name: str) -> Any:
        """A weight of a layer; the decoder's are numbered on."""
        return self.weights[f"t5_transformer_layer{f'_{layer}' if layer else ''}/{name}/vars/0"]

    def bias(self, length: int, layer: int, both: bool) -> Any:
        """What relative positions add to the scores: the first half of the buckets exact, then by the logarithm."""
        distance = np.arange(length)[None] - np.arange(length)[:, None]
        count = BUCKETS // 2 if both else BUCKETS
        far = np.abs(distance) if both else np.maximum(-distance, 0)
        exact = count // 2
        share = np.log(np.maximum(far, exact) / exact) / np.log(MAX_DISTANCE / exact)
        bucket = np.where(far < exact, far, np.minimum(exact + (share * (count - exact)).astype(int), count - 1))
        bucket = bucket + np.where(both & (distance > 0), count, 0)
        return self.part(layer, "self_attention")[self.mx.array(bucket)].transpose(2, 0, 1)[None]

    def norm(self, place: str, x: Any) -> Any:
        """MLX's own RMS norm."""
        return self.mx.fast.rms_norm(x, self.weights[f"{place}/vars/0"], self.sizes["layer_norm_epsilon"])

    def attend(self, layer: int, kind: str, x: Any, source: Any, may_attend: Any, bias: Any) -> Any:
        """`x + attention(norm(x))`, by MLX's own attention; a row that may attend to nothing gets zeros."""
        mx, place = self.mx, f"{kind}_attention"
        normed = mx.fast.rms_norm(x, self.part(layer, f"{place}_layer_norm"), self.sizes["layer_norm_epsilon"])
        source = normed if source is None else source

        def heads(name: str, value: Any) -> Any:
            flat = value @ self.part(layer, f"{place}/{name}_projector")
            return flat.reshape(*value.shape[:2], self.sizes["num_heads"], -1).transpose(0, 2, 1, 3)

        q, k, v = heads("query", normed), heads("key", source), heads("value", source)
        added = mx.where(may_attend, bias, float("-inf"))
        added = mx.broadcast_to(added, (q.shape[0], q.shape[1], q.shape[2], k.shape[2]))
        any_seen = may_attend.any(axis=-1, keepdims=True)
        mixed = mx.fast.scaled_dot_product_attention(q, k, v, scale=1.0, mask=mx.where(any_seen, added, 0.0))
        mixed = mx.where(any_seen, mixed, 0.0).transpose(0, 2, 1, 3).reshape(*x.shape[:2], -1)
        return x + mixed @ self.part(layer, f"{place}/output_projector")

    def feed_forward(self, layer: int, x: Any) -> Any:
        """`x + W2 (act(W1 norm(x)) * (V norm(x)))`, the product only where it is gated."""
        normed = self.mx.fast.rms_norm(x, self.part(layer, "layer_norm"), self.sizes["layer_norm_epsilon"])
        name = self.sizes["activation"]  # a dictionary stands for gelu with tanh
        activation = getattr(self.nn, name if isinstance(name, str) else "gelu_approx")
        inner = activation(normed @ self.part(layer, "input_projector"))
        if self.sizes["use_gated_activation"]:
            inner = inner * (normed @ self.part(layer, "gate_projector"))
        return x + inner @ self.part(layer, "output_projector")
