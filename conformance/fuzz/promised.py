"""What two implementations can be held to on one question: some is left open, and engines leave more open."""

import json
from typing import Any

import numpy as np

from conformance.adapters.engine import until
from conformance.fuzz.models import pattern_of
from conformance.make.search import Search
from conformance.make.truth import EPSILON
from conformance.suite.compare import LIMIT

FIRST_PIECE = 3  # before it stand padding, end and unknown
DRAWING = ("RandomSampler", "TopKSampler", "TopPSampler")


def sampler_of(call: dict[str, Any]) -> str:
    """The class of the sampler that a call names, without package."""
    sampler = call["args"].get("sampler")
    return str(sampler["class_name"].partition(">")[2]) if isinstance(sampler, dict) else ""


def comparable(call: dict[str, Any], abilities: list[set[str]], architecture: str = "bart") -> bool:
    """Whether the clauses say one answer to this question for implementations of these capabilities.

    What is drawn is the same where both draw JAX's numbers only; engines set finished beams aside, each in its way
    (known to the cases of samplers.beam.finished-go-on), and know padding after the end of a source only.
    KerasHub 0.32 crashes on T5Gemma with a search, and its cache there has a form of its own.
    """
    given = call["args"].get("inputs")
    if architecture == "t5gemma" and call["op"] == "generate" and not all(text.strip() for text in given):
        return False  # there a text of nothing is a source of nothing, which is the cases' affair
    if architecture == "t5gemma" and any("keras_hub" in each for each in abilities):
        searches = call["op"] == "generate" and sampler_of(call) in ("BeamSampler", "ContrastiveSampler")
        if searches or call["op"] == "cached_logits":
            return False
    if sampler_of(call) in DRAWING and not all("jax-random" in each for each in abilities):
        return False
    if not any("engine" in each for each in abilities):
        return True
    if sampler_of(call) == "BeamSampler" and call["args"].get("stop_token_ids"):
        return False
    inputs = call["args"].get("inputs")
    masks = inputs["encoder_padding_mask"] if call["op"] == "generate" and isinstance(inputs, dict) else []
    return all(mask[0] and mask == sorted(mask, reverse=True) for mask in masks)


def read_alike(call: dict[str, Any], model: dict[str, Any], abilities: list[set[str]]) -> bool:
    """Whether implementations of these capabilities have the same pieces for a call's text.

    Engines rebuild every SentencePiece model as Unigram (finding transformers-t5-pieces), look for special tokens in
    texts, and write control pieces out again.
    """
    if model.get("architecture") != "t5" or not any("engine" in each for each in abilities):
        return True
    told = json.dumps([call["args"].get(key) for key in ("text", "x", "inputs")])
    if call["op"] == "sample" or "decoder_token_ids" in told:
        return True  # there is no text
    ids = [n for row in call["args"].get("ids", ()) if isinstance(row, list) for n in row]
    return pattern_of(model) == "t5_tiny" and "<" not in told and all(n >= FIRST_PIECE for n in ids)


def promised(call: dict[str, Any], result: dict[str, Any]) -> dict[str, Any]:
    """A result without what may be anything: sampled rows end with their first stop token."""
    if call["op"] != "sample" or sampler_of(call) == "BeamSampler":
        return result
    stops, index = call["args"].get("stop_token_ids"), call["args"]["index"]
    return result | {"ids": [[until(row, index, stops) for row in rows] for rows in result["ids"]]}


def near_tie_of_beams(call: dict[str, Any], *results: dict[str, Any]) -> bool:
    """Whether all rows are results of beam search over the table, by float64 and with either choice at a near-tie."""
    args = call["args"]
    if call["op"] != "sample" or sampler_of(call) != "BeamSampler" or args.get("stop_token_ids"):
        return False
    table = np.array(args["logits"], np.float64)
    width, index, count = len(args["prompt"][0]), args["index"], args["sampler"]["config"]["num_beams"]
    tolerance = 2 * LIMIT * EPSILON * max(1.0, float(np.abs(table).max())) * width

    def score(rows: np.ndarray) -> dict[str, np.ndarray]:
        return {"logits": table[rows]}

    for n, prompt in enumerate(args["prompt"]):
        try:
            right = Search(score, width, tolerance).beams(prompt[:index], count)
        except SystemExit:  # more near-ties than can be followed
            continue
        if any(rows[n] not in right for result in results for rows in result["ids"]):
            return False
    return True
