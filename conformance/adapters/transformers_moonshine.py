"""Hugging Face's Moonshine over a preset's weights, for the adapter in `transformers`."""

import copy
from types import MethodType
from typing import Any

import numpy as np

from conformance.adapters.transformers_softmax import softmax_in_doubles

NORMS = {
    "encoder": {"self_attention_layer_norm": "input_layernorm", "feedforward_layer_norm": "post_attention_layernorm"},
    "decoder": {"norm1": "input_layernorm", "norm2": "post_attention_layernorm", "norm3": "final_layernorm"},
}
ATTENTION = {"self_attention_layer": "self_attn", "self_attention": "self_attn", "cross_attention": "encoder_attn"}
STEM = {"conv1d": "conv1", "conv1d_1": "conv2", "conv1d_2": "conv3", "group_normalization": "groupnorm"}
STRIDE = 64 * 3 * 2


def model_of(hub: Any, config: dict[str, Any]) -> Any:
    """The model, with the heads, feed-forward layers and output biases that the configuration says for each side."""
    from transformers.models.moonshine import modeling_moonshine as module

    width = config["hidden_dim"]
    sizes = {"attention_bias": config["attention_bias"], "hidden_size": width, "attn_implementation": "eager"}
    for side in ("encoder", "decoder"):
        sizes[f"{side}_num_hidden_layers"] = config[f"{side}_num_layers"]
        sizes[f"{side}_num_attention_heads"] = config[f"{side}_num_heads"]
    inner = width * config["feedforward_expansion_factor"]
    sizes |= {"vocab_size": config["vocabulary_size"], "intermediate_size": inner}
    model = hub.MoonshineForConditionalGeneration(hub.MoonshineConfig(**sizes)).eval()
    for side in ("encoder", "decoder"):
        stack = getattr(model.model, side)
        gated = config[f"{side}_use_swiglu_activation"]
        for layer in stack.layers:
            mlp, act = (module.MoonshineDecoderMLP, "silu") if gated else (module.MoonshineEncoderMLP, "gelu")
            layer.mlp = mlp(model.config, act)
            for name in set(ATTENTION.values()) & set(layer._modules):
                resize(module.nn, getattr(layer, name), config, side)
    return model


def resize(nn: Any, attention: Any, config: dict[str, Any], side: str) -> None:
    """Heads of the side's own number and width; transformers keeps one configuration for both sides."""
    width, heads, more = config["hidden_dim"], config[f"{side}_num_heads"], config["pad_head_dim_to_multiple_of"] or 1
    each = -(-(width // heads) // more) * more
    attention.config = copy.deepcopy(attention.config)
    attention.config.update({"num_attention_heads": heads, "num_key_value_heads": heads})
    attention.head_dim, attention.scaling = each, each**-0.5
    for name in ("q_proj", "k_proj", "v_proj"):
        setattr(attention, name, nn.Linear(width, heads * each, bias=config["attention_bias"]))
    attention.o_proj = nn.Linear(heads * each, width, bias=config["attention_bias"])


def state_of(read: dict[str, np.ndarray], config: dict[str, Any], permuted: bool) -> dict[str, np.ndarray]:
    """The weights under Hugging Face's names. `permuted` renumbers the inner dimensions."""
    table = read["layers/reversible_embedding/vars/0"]
    state = {"proj_out.weight": table, "model.decoder.embed_tokens.weight": table}
    for ours, theirs in STEM.items():
        for n, kind in enumerate(("weight", "bias")):
            value = read.get(f"layers/{ours}/vars/{n}")
            if value is not None:
                state[f"model.encoder.{theirs}.{kind}"] = value.transpose(2, 1, 0) if value.ndim == 3 else value
    for side, norm, last in (("encoder", "layer_norm", ""), ("decoder", "norm", "_1")):
        state[f"model.{side}.{norm}.weight"] = read[f"layers/layer_normalization{last}/vars/0"]
        for n in range(config[f"{side}_num_layers"]):
            place, name = f"layers/moonshine_{side}_block{f'_{n}' if n else ''}/", f"model.{side}.layers.{n}."
            for path in (path for path in read if path.startswith(place)):
                part, _, number = path.removeprefix(place).partition("/vars/")
                state |= {name + key: value for key, value in _weight(part, int(number), read[path], side)}
    if permuted:
        _permute(state)
    return state


def _weight(part: str, number: int, value: np.ndarray, side: str) -> list[tuple[str, np.ndarray]]:
    """One weight of a layer under its name there."""
    kind = ("weight", "bias")[number]
    if part in NORMS[side]:
        return [(f"{NORMS[side][part]}.{kind}", value)]
    outer, inner = part.split("/")
    if inner.startswith("dense_"):
        return [(f"mlp.fc{inner[-1]}.{kind}", value.T)]
    if number:
        return [(f"{ATTENTION[outer]}.{inner[0]}_proj.bias", value.reshape(-1))]
    flat = value.reshape(-1, value.shape[-1]) if inner[0] == "o" else value.reshape(len(value), -1)
    return [(f"{ATTENTION[outer]}.{inner[0]}_proj.weight", flat.T)]


def _permute(state: dict[str, np.ndarray]) -> None:
    """The inner dimension of each feed-forward layer from its end; of a gated one both halves."""
    for name in [name for name in state if name.endswith("mlp.fc2.weight")]:
        inner = state[name].shape[1]
        state[name] = state[name][:, ::-1]
        for kind in ("weight", "bias"):
            first = name.replace("fc2.weight", f"fc1.{kind}")
            state[first] = np.concatenate([half[::-1] for half in np.split(state[first], len(state[first]) // inner)])


def inputs_of(torch: Any, inputs: dict[str, Any], dtype: Any) -> dict[str, Any]:
    """The arguments. Of the mask it takes each 384th sample for a frame: here those that KerasHub's lengths say."""
    sound = torch.tensor(np.asarray(inputs["encoder_input_values"])[..., 0], dtype=dtype)
    frames = frames_of(np.asarray(inputs["encoder_padding_mask"], bool))
    mask = torch.zeros(sound.shape, dtype=torch.long)
    mask[:, ::STRIDE][:, : frames.shape[1]] = torch.tensor(frames)
    return {
        "input_values": sound,
        "attention_mask": mask,
        "decoder_input_ids": torch.tensor(inputs["decoder_token_ids"]),
        "decoder_attention_mask": torch.tensor(inputs["decoder_padding_mask"]).long(),
    }


def frames_of(mask: np.ndarray) -> np.ndarray:
    """Which frames hold sound alone. Shapes: (B, samples) -> (B, S)."""

    def after(length: Any) -> Any:
        for kernel, stride in ((127, 64), (7, 3), (3, 2)):
            length = (length - kernel) // stride + 1
        return np.maximum(length, 0)

    return np.arange(after(mask.shape[1])) < after(mask.sum(axis=1))[:, None]


def in_doubles(torch: Any, model: Any, read: dict[str, np.ndarray]) -> None:
    """Let rotations and softmax compute in the type of all, by the frequencies of the file."""
    from transformers.models.moonshine import modeling_moonshine as module

    def rotation(self: Any, x: Any, position_ids: Any) -> Any:
        kind = torch.promote_types(x.dtype, torch.float32)
        angles = position_ids[..., None].to(kind) * torch.cat([self.turns, self.turns]).to(kind)
        return angles.cos().to(x.dtype), angles.sin().to(x.dtype)

    for stack, last in ((model.model.encoder, ""), (model.model.decoder, "_1")):
        stack.rotary_emb.turns = torch.tensor(read[f"layers/moonshine_rotary_embedding{last}/vars/0"])
        stack.rotary_emb.forward = MethodType(rotation, stack.rotary_emb)
    softmax_in_doubles(torch, module)


def values_of(model: Any) -> list[Any]:
    """The projections of what is attended to in the source."""
    found = [layer.self_attn.v_proj for layer in model.model.encoder.layers]
    return found + [layer.encoder_attn.v_proj for layer in model.model.decoder.layers]
