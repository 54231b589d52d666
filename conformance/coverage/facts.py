"""What a case's steps are about: the configuration that is loaded, and the shapes and kinds of what is asked."""

import json
from collections.abc import Iterator
from typing import Any

from conformance.suite.cases import GOLDEN, Case

FAMILIES = {"BartBackbone": "bart", "T5Backbone": "t5", "T5GemmaBackbone": "t5gemma"}
MASKS = ("encoder_padding_mask", "decoder_padding_mask")


def facts_of(case: Case) -> Iterator[dict[str, Any]]:
    """The facts of each step that asks something, by name."""
    config: dict[str, Any] = {}
    for step in case.steps:
        args = step.get("args", {})
        if step["op"] == "load":
            config = _config(step)
        elif "expect" in step or step["op"] == "train":
            found = {**config, "op": step["op"]}
            found |= {name: value for name, value in args.items() if isinstance(value, (str, int, float))}
            if step["op"] in ("generate", "sample"):
                found |= _stops(step["op"], args) | _sampler(args)
            yield found | _inputs(args, config)


def _config(step: dict[str, Any]) -> dict[str, Any]:
    """The backbone's configuration as it is after the damage, and how its sizes relate."""
    args, damage = step["args"], step.get("damage") or []
    path = GOLDEN / "presets" / str(args.get("preset", "")) / "config.json"
    content = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    config = dict(content.get("config", {}))
    for change in damage:
        if change["change"] == "set" and change.get("file") == "config.json" and change["keys"][:1] == ["config"]:
            config |= change.get("values") or {change["keys"][-1]: change["value"]}
    config |= {"family": FAMILIES.get(content.get("class_name", ""), "none"), "preset": args.get("preset")}
    config["dtype"] = args.get("dtype", "float32")
    inner, width = config.get("intermediate_dim"), config.get("hidden_dim")
    config["inner"] = "none" if not inner else "equal" if inner == width else "unequal"
    if isinstance(config.get("activation"), dict):
        config["activation"] = config["activation"]["config"].partition(">")[2]
    if config["family"] == "t5":
        depth = config["key_value_dim"] or width // config["num_heads"]
        config["heads_wide"] = "equal" if config["num_heads"] * depth == width else "unequal"
    if config["family"] == "t5gemma":
        return config | _t5gemma(config)
    return config


def _t5gemma(config: dict[str, Any]) -> dict[str, Any]:
    """How the two sides and their heads relate."""
    heads, shared = config["decoder_num_attention_heads"], config["decoder_num_key_value_heads"]
    kinds = {kind.partition("_")[0] for kind in config["decoder_layer_types"]}
    sides = {config[f"{side}_num_layers"] for side in ("encoder", "decoder")}
    return ({"num_layers": sides.pop()} if len(sides) == 1 else {}) | {
        "sides_wide": "equal" if config["encoder_hidden_dim"] == config["decoder_hidden_dim"] else "unequal",
        "shared": "all" if shared == 1 else "none" if shared == heads else "some",
        "kinds": "both" if len(kinds) > 1 else next(iter(kinds)),
        "scalar": "width" if config["query_pre_attn_scalar"] == config["decoder_head_dim"] else "other",
    }


def _inputs(args: dict[str, Any], config: dict[str, Any]) -> dict[str, Any]:
    """Batch, lengths and masks; of texts how many, and how they came."""
    inputs = args.get("inputs", args.get("x", args.get("batches", args.get("text"))))
    if isinstance(inputs, list) and inputs and isinstance(inputs[0], dict):
        inputs = inputs[0].get("inputs", {})
    if isinstance(inputs, dict) and "encoder_token_ids" in inputs and "decoder_token_ids" in inputs:
        return _tokens(inputs, config, args.get("chunks"))
    if isinstance(inputs, dict):
        prompts = inputs.get("decoder_text")
        found = {"input": "dictionary", "prompts": "none" if prompts is None else "given"}
        prompts = inputs.get("encoder_text") if prompts is None else prompts
        return found | {"batch": len(prompts) if isinstance(prompts, list) else 1}
    if isinstance(inputs, list):
        return {"input": "list", "batch": len(inputs), "prompts": "none"}
    return {"input": "one", "batch": 1, "prompts": "none"} if isinstance(inputs, str) else {}


def _tokens(inputs: dict[str, Any], config: dict[str, Any], chunks: Any) -> dict[str, Any]:
    batch, (source, target) = len(inputs["encoder_token_ids"]), (
        max(map(len, inputs[f"{side}_token_ids"]), default=0) for side in ("encoder", "decoder")
    )  # fmt: skip
    found = {"input": "tokens", "batch": batch, "source": source, "target": target, "prompts": "given"}
    found["sides"] = "equal" if source == target else "unequal"
    found["table"] = "full" if config.get("max_sequence_length") == max(source, target) else "part"
    window = config.get("sliding_window") or 0
    found["window"] = "none" if not window else "longer" if window >= target else "shorter"
    found |= {name: mask_kind(inputs[key]) for name, key in zip(("source_mask", "target_mask"), MASKS, strict=True)
              if key in inputs}  # fmt: skip
    if chunks:
        found["chunks"] = "whole" if len(chunks) == 1 else "one by one" if max(chunks) == 1 else "several"
    return found


def mask_kind(mask: list[list[Any]]) -> str:
    """Of all rows the oddest: empty, holes, ragged or full; `numbers` if it is not of booleans."""
    if any(type(item) is not bool for row in mask for item in row):
        return "numbers"
    kinds = ["empty" if not any(row) else "full" if all(row) else
             "ragged" if row == sorted(row, reverse=True) else "holes" for row in mask]  # fmt: skip
    return next(kind for kind in ("empty", "holes", "ragged", "full") if kind in kinds)


def _stops(op: str, args: dict[str, Any]) -> dict[str, Any]:
    """How many stop tokens there are: `auto`, `none`, or a number."""
    stops = args.get("stop_token_ids", "auto" if op == "generate" else None)
    return {"stops": "none" if stops is None else len(stops) if isinstance(stops, list) else stops}


def _sampler(args: dict[str, Any]) -> dict[str, Any]:
    """The sampler's name, and its settings beside their defaults."""
    sampler = args.get("sampler", "greedy")
    sampler = sampler if isinstance(sampler, dict) else {"class_name": str(sampler)}
    config = sampler.get("config", {})
    name = sampler["class_name"].rpartition(">")[2].removesuffix("Sampler").replace("_", "").lower()
    warm = config.get("temperature", 1.0)
    found = {"sampler": name, "seeded": "yes" if config.get("seed") is not None else "no"}
    rows = args.get("prompt")
    found |= {"batch": len(rows)} if isinstance(rows, list) else {}
    return found | {"temperature": "1" if warm == 1 else "below" if warm < 1 else "above"}
