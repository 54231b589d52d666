"""Cases drawn by a covering array: each row of `covering.json` gives a value to every dimension of its section."""

import functools
import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import h5py

from conformance.make.questions import ask, load, step
from conformance.make.questions.covering_samplers import sampler_question
from conformance.make.questions.covering_texts import STOPS, Row, chosen, packed, shown, texts
from conformance.suite.cases import GOLDEN

ROWS = Path(__file__).with_name("covering.json")
VOCABULARY = 13  # small tables, small answers
NUMERIC = {
    "states": ["encoder_sequence_output", "decoder_sequence_output"],
    "logits": ["logits"],
    "cached_logits": ["logits"],
}
CLAUSES = {
    "states": "models.backbone.outputs",
    "logits": "models.logits",
    "cached_logits": "decoding.cache.equals-uncached",
    "generate": "generate.greedy.argmax",
}
PLACES = {  # preset, where each side's layers lie
    "bart": ("bart_dropout0", {"encoder": "layers/transformer_encoder", "decoder": "layers/transformer_decoder"}),
    "t5": ("t5_gated", {"encoder": "layers/t5_transformer_layer", "decoder": "layers/t5_transformer_layer_1"}),
    "t5gemma": ("t5gemma_tiny", {s: f"layers/t5_gemma_{s}_layer" for s in ("encoder", "decoder")}),
}  # fmt: skip
# How Keras writes a function that isn't its own; the plain word would be another function.
KERAS_HUBS_OWN = {"module": "builtins", "class_name": "function", "config": "keras_hub>gelu_approximate",
                  "registered_name": "function"}  # fmt: skip


def questions() -> list[dict[str, Any]]:
    """All drawn questions, and those of configurations at their defaults."""
    content = json.loads(ROWS.read_text(encoding="utf-8"))
    kinds: dict[str, Callable[[int, Row], dict[str, Any]]] = {
        "generate/texts": texts,
        "samplers": lambda n, row: sampler_question(n, row, f"Drawn: {shown(row)}.", STOPS),
        "preprocessing": packed,
    }
    return defaults() + [
        kinds.get(section, functools.partial(question, section.partition("/")[2]))(n, row)
        for section, rows in content.items()
        for n, row in enumerate(rows)
        if row and section != "training"  # a row that was given up keeps its number; training has its own maker
    ]


def question(family: str, number: int, row: Row) -> dict[str, Any]:
    """One row as a case."""
    op, config = row["op"], FAMILIES[family](row)
    inputs = batch(row, family)
    preset, damage = PLACES[family][0], changes(family, config)
    args: dict[str, Any] = {"inputs": inputs}
    if op == "cached_logits":
        args["chunks"] = chunks(len(inputs["decoder_token_ids"][0]), number)
    if op == "generate":
        asked = step(op, {"generation": None}, **args, stop_token_ids=None)
    else:
        asked = step(op, {"numeric": NUMERIC[op]}, **args)
    by = "keras_hub" if op == "generate" and family != "t5gemma" else "transformers"  # KerasHub's windows are wider
    capability = "t5gemma" if family == "t5gemma" else "core" if op == "generate" else "probe"
    flags = "Arithmetic" if op in ("states", "logits") else "Cache"
    steps = load(preset, None, damage, preprocessor=None), asked
    name = f"{CLAUSES[op]}#drawn-{family}-{number:02}"
    found = ask(name, f"Drawn: {shown(row)}.", flags, *steps, capability=capability, by=by)
    return found | {"sparse": True}


OPTIMIZERS = {
    "SGD": {"learning_rate": 0.05},
    "Adam": {"learning_rate": 0.02, "epsilon": 0.01},
    "AdamW": {"learning_rate": 0.02, "epsilon": 0.01, "weight_decay": 2.0},
}


def training_questions() -> list[tuple[str, str, str, Row, str, Any]]:
    """The rows of training: id, flag, what it is, arguments, preset and its changes. Another maker answers them."""
    found = []
    for number, row in enumerate(json.loads(ROWS.read_text(encoding="utf-8"))["training"]):
        family, name = row["family"], row["optimizer"]
        whole = row | {
            "op": "train", "source": "2-32", "target": "2-32", "sides": "unequal", "table": "part", "inner": "unequal",
            "num_heads": 2, "heads_wide": "unequal", "activation": ["relu", "gelu", "silu"][number % 3],
            "use_gated_activation": number % 2 > 0, "tie_embedding_weights": number % 4 < 2, "layer_norm_epsilon": 1e-6,
            "encoder_num_layers": row["num_layers"], "decoder_num_layers": row["num_layers"], "sides_wide": "unequal",
            "shared": "some", "scalar": "other", "kinds": ["full", "sliding"][number % 2], "rms_norm_eps": 1e-5,
            "attn_logit_softcapping": 5.0, "final_logit_softcapping": 3.0, "rope_max_wavelength": 500.0,
        }  # fmt: skip
        inputs = batch(whole, family)
        labels = [ids[1:] + ids[:1] for ids in inputs["decoder_token_ids"]]
        weights = [[m * [1.0, 0.5, 2.0][b % 3] for m in mask] for b, mask in enumerate(inputs["decoder_padding_mask"])]
        args = {"batches": [{"inputs": inputs, "labels": labels, "weights": weights}], "optimizer": name,
                "options": OPTIMIZERS[name], "steps": 3}  # fmt: skip
        config = FAMILIES[family](whole) | ({"dropout_rate": 0.0} if family == "t5gemma" else {})
        id = f"training.optimizer.{name.lower()}#drawn-{number:02}"
        found.append((id, "Gradient", f"Drawn: {shown(row)}.", args, PLACES[family][0], changes(family, config)))
    return found


def bart(row: Row) -> Row:
    """BART's configuration."""
    heads = chosen(row["num_heads"])
    width = 5 if heads == 1 else 6
    longest = max(lengths(row)) + 2 * (row["table"] == "part")
    return {
        "vocabulary_size": VOCABULARY, "num_layers": chosen(row["num_layers"]), "num_heads": heads, "hidden_dim": width,
        "intermediate_dim": width + 3 * (row["inner"] == "unequal"), "max_sequence_length": longest,
    }  # fmt: skip


def t5(row: Row) -> Row:
    """T5's configuration."""
    heads = chosen(row["num_heads"])
    same = ("activation", "use_gated_activation", "tie_embedding_weights", "layer_norm_epsilon")
    return {
        "vocabulary_size": VOCABULARY, "num_layers": chosen(row["num_layers"]), "num_heads": heads, "hidden_dim": 6,
        "key_value_dim": 6 // heads if row["heads_wide"] == "equal" else 4,
        "intermediate_dim": 6 + 3 * (row["inner"] == "unequal"), **{name: row[name] for name in same},
        **({"activation": KERAS_HUBS_OWN} if row["activation"] == "gelu_approximate" else {}),
    }  # fmt: skip


def t5gemma(row: Row) -> Row:
    """T5Gemma's configuration: four heads a side."""
    found: Row = {"vocabulary_size": VOCABULARY, "query_pre_attn_scalar": 4 if row["scalar"] == "width" else 7}
    widths = {"encoder": 8, "decoder": 8 if row["sides_wide"] == "equal" else 12}
    for side, width in widths.items():
        layers = chosen(row[f"{side}_num_layers"])
        kinds = ["sliding", "full"] if row["kinds"] == "both" else [row["kinds"]]
        found |= {
            f"{side}_hidden_dim": width, f"{side}_intermediate_dim": 7, f"{side}_num_layers": layers,
            f"{side}_num_attention_heads": 4, f"{side}_head_dim": 4,
            f"{side}_num_key_value_heads": {"all": 1, "some": 2, "none": 4}[row["shared"]],
            f"{side}_layer_types": [f"{kinds[n % len(kinds)]}_attention" for n in range(layers)],
        }  # fmt: skip
    same = ("attn_logit_softcapping", "final_logit_softcapping", "rms_norm_eps", "rope_max_wavelength")
    return found | {"cross_attention_hidden_size": 8} | {name: row[name] for name in same}


FAMILIES: dict[str, Callable[[Row], Row]] = {"bart": bart, "t5": t5, "t5gemma": t5gemma}


def changes(family: str, config: Row) -> list[dict[str, Any]]:
    """The preset with this configuration, or this part of it, and weights of its shapes by the recipe."""
    before = json.loads((GOLDEN / "presets" / PLACES[family][0] / "config.json").read_text(encoding="utf-8"))["config"]
    config = before | config
    values = {name: value for name, value in config.items() if before[name] != value}
    groups = [{"at": at, "tree": tree} for at, tree in groups_of(family, before, config)]
    return [{"change": "remove-file", "file": "task.json"},  # it would say the old configuration
            {"change": "set", "file": "config.json", "keys": ["config"], "values": values},
            {"change": "fill", "file": "model.weights.h5", "groups": groups}]  # fmt: skip


def defaults() -> list[dict[str, Any]]:
    """Configurations that lack what is at its default, beside the same ones written out."""
    both = {"op": "logits", "source": "2-32", "target": "2-32", "sides": "unequal", "batch": 2, "source_mask": "ragged"}
    both |= {"num_layers": 2, "num_heads": 2, "heads_wide": "equal", "inner": "unequal"} | {
        f"{side}_num_layers": 2 for side in ("encoder", "decoder")
    }
    rest: dict[str, Row] = {
        "t5": {"activation": "relu", "use_gated_activation": True, "layer_norm_epsilon": 1e-6,
               "tie_embedding_weights": True, "key_value_dim": None, "dropout": 0.1},
        "t5gemma": {"rms_norm_eps": 1e-6, "query_pre_attn_scalar": 1.0, "hidden_activation": "gelu_approximate",
                    "tie_word_embeddings": True, "attention_bias": False, "dropout_rate": 0.0, "sliding_window": None,
                    "attn_logit_softcapping": None, "final_logit_softcapping": None, "rope_max_wavelength": 10000.0},
    }  # fmt: skip
    found = []
    for family, unset in rest.items():
        row = both | unset | {"kinds": "full", "sides_wide": "equal", "shared": "some", "scalar": "other"}
        written = changes(family, FAMILIES[family](row) | unset)
        left = [{"change": "remove-key", "file": "config.json", "keys": ["config", name]} for name in unset]
        scores = {"inputs": batch(row, family)}
        again = {"same_as": {"step": 1, "keys": ["logits"]}}
        found.append(
            ask(f"presets.config.defaults#{family}", "What is at its default may be left out.", "Load",
                load(PLACES[family][0], damage=written), step("logits", None, **scores),
                load(PLACES[family][0], damage=[*written, *left]), step("logits", again, **scores),
                capability="t5gemma" if family == "t5gemma" else "probe", by="hand")
        )  # fmt: skip
    return found


def groups_of(family: str, before: Row, config: Row) -> Iterator[tuple[list[str], Row]]:
    """Places with equal trees, and these, made of the preset's with sizes replaced; there no two sizes are equal."""
    preset, layers = PLACES[family]
    found: dict[str, tuple[int, ...]] = {}
    with h5py.File(GOLDEN / "presets" / preset / "model.weights.h5") as file:
        file.visititems(lambda place, node: found.update({place: node.shape} if isinstance(node, h5py.Dataset) else {}))
    if config.get("tie_embedding_weights"):
        del found["layers/reversible_embedding/vars/1"]
    numbered = tuple(f"{at}{end}" for at in layers.values() for end in ("/", "_"))
    rest = {p: s for p, s in found.items() if not p.startswith(numbered)}
    yield ["layers"], tree(rest, "layers/", lambda shape: sized(shape, before, config, ""))
    for side, at in layers.items():
        count = config.get("num_layers") or config[f"{side}_num_layers"]
        first = count if family == "t5" and side == "decoder" else 0
        stem = layers["encoder"] if family == "t5" else at
        names = [f"{stem}_{n}" if n else stem for n in range(first, first + count)]
        own = {p: s for p, s in found.items() if p.startswith(f"{at}/")}
        if not config.get("use_gated_activation", True):
            own = {p: s for p, s in own.items() if "gate_projector" not in p}
        positions = f"{at}/self_attention/vars/0"
        if positions in own:  # of the first layer, for all
            yield names[:1], {"self_attention": [sized(own.pop(positions), before, config, "")]}
        yield names, tree(own, f"{at}/", lambda shape, side=side: sized(shape, before, config, f"{side}_"))


def tree(shapes: dict[str, tuple[int, ...]], below: str, change: Callable[[tuple[int, ...]], list[int]]) -> Row:
    """Nested folders, each last one with the list of its variables' shapes."""
    found: Row = {}
    for place, shape in sorted(shapes.items()):
        *outer, last = place.removeprefix(below).partition("/vars/")[0].split("/")
        node = found
        for name in outer:
            node = node.setdefault(name, {})
        node.setdefault(last, []).append(change(shape))
    return found


def sized(shape: tuple[int, ...], before: Row, config: Row, side: str) -> list[int]:
    """A shape with each size of one configuration replaced by the other's."""

    def pairs(one: Row) -> list[int]:
        own = (
            {name.removeprefix(side): value for name, value in one.items() if name.startswith(side) and side}
            if "rms_norm_eps" in one
            else one
        )
        names = (
            "hidden_dim",
            "intermediate_dim",
            "num_heads",
            "num_attention_heads",
            "num_key_value_heads",
            "head_dim",
        )
        found = [one["vocabulary_size"], *(own[n] for n in names if n in own)]
        if "rms_norm_eps" in one:
            return [*found, one["encoder_hidden_dim"], one["decoder_hidden_dim"]]
        if "key_value_dim" in one:
            heads = one["num_heads"]
            return [*found, heads * (one["key_value_dim"] or one["hidden_dim"] // heads)]
        return [*found, one["hidden_dim"] // one["num_heads"], one["max_sequence_length"]]

    return [dict(zip(pairs(before)[::-1], pairs(config)[::-1], strict=True)).get(size, size) for size in shape]


def lengths(row: Row) -> tuple[int, int]:
    """Source and target."""
    source, target = chosen(row["source"]), chosen(row["target"])
    return source + (source == target and row["sides"] == "unequal"), target


def batch(row: Row, family: str) -> dict[str, Any]:
    """Ids from a written sequence, and masks of the kinds asked for."""
    rows, found = chosen(row["batch"]), {}
    ragged = row["op"] == "generate"
    kinds = {"encoder": row["source_mask"], "decoder": "ragged" if ragged else row.get("target_mask", "full")}
    for n, (side, width) in enumerate(zip(kinds, lengths(row), strict=True)):
        ids = [
            [(7919 * (i + 1) * (b + 2) + 31 * n + 101 * i * i) % (VOCABULARY - 3) + 3 for i in range(width)]
            for b in range(rows)
        ]
        if ragged and n:
            ids = [[(2 if family == "bart" else 0), *row_[1:]] for row_ in ids]
        found[f"{side}_token_ids"] = ids
        found[f"{side}_padding_mask"] = [mask_row(kinds[side], width, b, ragged and n) for b in range(rows)]
    return found


def mask_row(kind: str, width: int, b: int, prompt: Any) -> list[bool]:
    """Row b of a mask: its first row shows the kind."""
    if kind == "holes":
        return [i != width // 2 or b % 2 > 0 for i in range(width)]
    used = width if kind == "full" else 1 + b % max(width - 1, 1) % 3 if prompt else width - 1 - b % max(width - 1, 1)
    return [i < used for i in range(width)]


def chunks(width: int, number: int) -> list[int]:
    """Three ways to cut the decoder's tokens."""
    cuts = ([1] * width, [width], [width - width // 2 - 1, 1, width // 2])[number % 3]
    return [size for size in cuts if size]
