"""What a generation case keeps besides KerasHub's tokens: how certain they are by the truth, and what else is right."""

from typing import Any

import numpy as np

from conformance.make.search import Search
from conformance.make.truth import PROFILE_OF, margins, profile_floors, truth_and_floor
from conformance.suite.compare import LIMIT
from conformance.suite.messages import answer
from conformance.suite.signals import spelled_out

KINDS = {"BeamSampler": "beams", "ContrastiveSampler": "contrastive"}


def certainty(scorers: dict[str, Any], case: dict[str, Any], number: int, ids: list[list[int]]) -> dict[str, Any]:
    """Margins and runners-up of greedy search, or all results of another search; with the profiles' floors.

    `scorers` are the truth and honest implementations by name, each with the case's preset loaded.
    """
    args = case["steps"][number]["args"]
    inputs = spelled_out(args["inputs"])
    whole = inputs | {"decoder_token_ids": ids, "decoder_padding_mask": [[True] * len(row) for row in ids]}
    replies = {name: answer(adapter, "logits", {"inputs": whole}) for name, adapter in scorers.items()}
    honest = {name: reply for name, reply in replies.items() if name not in PROFILE_OF}
    truth, floor, _, notes = truth_and_floor(honest, "logits", case["id"])
    case["provenance"]["logits"] = notes | {"floor": floor, "truth": "transformers float64"}
    wide = profile_floors(truth, replies, "logits")
    found = {"profiles": {name: float(f"{rule['floor'] / floor:.3g}") for name, rule in wide.items()}}
    sampler = args.get("sampler")
    if isinstance(sampler, dict) and sampler["class_name"].partition(">")[2] in KINDS:
        states = {n: answer(a, "states", {"inputs": whole}) for n, a in scorers.items() if n not in PROFILE_OF}
        unlike = truth_and_floor(states, "decoder_sequence_output", case["id"])[:2]
        size = np.linalg.norm(unlike[0], axis=-1).min()
        floors = (floor, unlike[1] * unlike[0].shape[-1] ** 0.5 / size)
        return found | searched(scorers["truth"], inputs, sampler, floors, ids)
    return found | margins(truth, floor, ids, inputs["decoder_padding_mask"])


def over_truth(truth: Any, args: dict[str, Any]) -> dict[str, Any]:
    """What a search gives over the truth, for a question that KerasHub fails."""
    inputs, kind, config = spelled_out(args["inputs"]), "", {}
    if isinstance(sampler := args.get("sampler"), dict):
        kind, config = KINDS[sampler["class_name"].partition(">")[2]], sampler["config"]
    ids = []
    for b, (row, mask) in enumerate(zip(inputs["decoder_token_ids"], inputs["decoder_padding_mask"], strict=True)):
        search = Search(row_scorer(truth, inputs, b), len(row), 1e-12, 1e-12)
        prompt = [id for id, kept in zip(row, mask, strict=True) if kept]
        found = search.contrastive(prompt, **config) if kind == "contrastive" else None
        ids.append((found or search.beams(prompt, config.get("num_beams", 1)))[0])
    return {"decoder_token_ids": ids, "decoder_padding_mask": [[True] * len(row) for row in ids]}


def searched(
    truth: Any, inputs: dict[str, Any], sampler: dict[str, Any], floors: tuple[float, float], ids: list[list[int]]
) -> dict[str, Any]:
    """All admissible rows of beam or contrastive search besides those of `ids`, which must be admissible.

    `floors` are those of logits and of cosines.
    """
    kind, config = KINDS[sampler["class_name"].partition(">")[2]], sampler["config"]
    alternatives, least = [], []
    for b, row in enumerate(ids):
        prompt = [
            i for i, m in zip(inputs["decoder_token_ids"][b], inputs["decoder_padding_mask"][b], strict=True) if m
        ]
        steps = len(row) - len(prompt)
        wide = 2 * LIMIT * steps**0.5  # the noise of sums grows with their length
        search = Search(row_scorer(truth, inputs, b), len(row), wide * floors[0], wide * floors[1])
        if kind == "beams":
            rows = search.beams(prompt, config["num_beams"])
        else:
            rows = search.contrastive(prompt, config["k"], config["alpha"])
        if row not in rows:
            raise SystemExit(f"KerasHub's row {row} is no result of {kind} over the truth: {rows}.")
        alternatives.append([other for other in rows if other != row])
        least.append(float(f"{2 * LIMIT * search.least / search.tolerance:.3g}"))
    return {"alternatives": alternatives, "least_margin": least}


def row_scorer(truth: Any, inputs: dict[str, Any], b: int) -> Any:
    """Logits and states of many decoder rows beside one source."""

    def score(rows: np.ndarray) -> dict[str, np.ndarray]:
        source = {key: value[b] for key, value in inputs.items() if key.startswith("encoder")}
        batch = {
            **{key: np.repeat(np.asarray(value)[None], len(rows), axis=0) for key, value in source.items()},
            "decoder_token_ids": rows.tolist(),
            "decoder_padding_mask": np.ones(rows.shape, bool).tolist(),
        }
        return truth.call("logits", {"inputs": batch}) | truth.call("states", {"inputs": batch})

    return score
