# ruff: noqa: E501  (tables read better unbroken)
"""Samplers with several rows, by their bare names, and in several calls: where one row or call alone shows nothing."""

from typing import Any

from conformance.make.beams import beams as by_hand
from conformance.make.questions import ask, load, step
from conformance.make.questions.batches import batch
from conformance.make.questions.samplers import logs, probe, same, sample, sampler

# No two counts of beams, nor of candidates, give the same sequences on this table.
WIDE = [
    [round(w / sum(row), 4) for w in row]
    for row in ([(19 * i + 23 * j + 9 * i * j * j) % 97 + 3 for j in range(7)] for i in range(7))
]
STATES = [[((3 * i + 5 * j + 2 * i * i * j) % 23 - 11) / 8 for j in range(4)] for i in range(7)]
EIGHT = [0.22, 0.2, 0.17, 0.13, 0.11, 0.08, 0.06, 0.03]
FLAT = [0.08, 0.07, 0.069, 0.068, 0.067, 0.066, 0.065, 0.064, 0.063, 0.062, 0.061, 0.06, 0.055, 0.05, 0.05, 0.05]
FALSE_ALARM = {1: 37.3, 4: 48.0, 7: 56.0}
IDS, BOTH = {"exact": ["ids"]}, {"exact": ["ids", "log_probs"]}


def rows_of(first: list[int], width: int) -> dict[str, Any]:
    """Prompts of one token, one for each row."""
    return {"prompt": [[token] + [0] * (width - 1) for token in first],
            "mask": [[True] + [False] * (width - 1)] * len(first), "width": width, "rows": len(first)}  # fmt: skip


def past(first: list[int], width: int) -> dict[str, Any]:
    """What contrastive search knows of the prompts."""
    return {"states": STATES, "hidden_states": [[STATES[token]] * width for token in first]}


def questions() -> list[dict[str, Any]]:
    """All questions of this page."""
    return bare_names() + several_rows() + in_turn()


def bare_names() -> list[dict[str, Any]]:
    """What a bare name means."""
    draws: list[tuple[str, str, list[float], list[float]]] = [
        ("top_k", "Five tokens.", EIGHT, EIGHT[:5]), ("top_p", "Tokens up to a tenth.", FLAT, FLAT[:2]),
        ("random", "All tokens, at temperature 1.", EIGHT, EIGHT),
    ]  # fmt: skip
    found = []
    for name, about, table, kept in draws:
        wanted = [round(p / sum(kept), 8) for p in kept] + [0] * (len(table) - len(kept))
        rule = {"wanted": wanted, "limit": FALSE_ALARM[len(kept) - 1]}
        asked = sample({"frequencies": rule}, name, same(table), width=501, rows=1, repeat=8)
        found.append(probe(f"get.names#bare-{name.replace('_', '-')}", f"The name {name} alone. {about}", "Sampling",
                           asked, by="hand"))  # fmt: skip
    three = rows_of([0, 3, 5], 10)
    return [
        *found,
        probe("get.names#bare-beam", "The name beam alone: five beams, of which the best comes back.", "Beams",
              sample(IDS, "beam", logs(WIDE), **three)),
        probe("get.names#bare-contrastive", "The name contrastive alone: five candidates, alpha 0.6.", "Contrastive",
              sample(IDS, "contrastive", logs(WIDE), **three, **past([0, 3, 5], 10))),
    ]  # fmt: skip


def three_beams(id: str, about: str, flags: str, rows: dict[str, Any], stops: Any = None) -> dict[str, Any]:
    """Three beams over some rows, worked by hand."""
    found = by_hand(WIDE, rows["prompt"], rows["mask"], 3, stops or ())
    chosen = sampler("beam", num_beams=3, return_all_beams=True)
    return probe(
        id, about, flags, sample({"exact": found}, chosen, logs(WIDE), stop_token_ids=stops, **rows), by="hand"
    )


def several_rows() -> list[dict[str, Any]]:
    """Searches over rows that differ."""
    ragged = rows_of([0, 3, 5], 9) | {
        "prompt": [[0] * 9, [3, 1, 6, 2] + [0] * 5, [5, 4] + [0] * 7],
        "mask": [[True] + [False] * 8, [True] * 4 + [False] * 5, [True] * 2 + [False] * 7],
    }
    forced = rows_of([1, 3, 5], 8) | {
        "prompt": [[1] + [0] * 7, [3, 1, 0, 2] + [0] * 4, [5, 0] + [0] * 6],
        "mask": [[True] + [False] * 7, [True] * 4 + [False] * 4, [True] * 2 + [False] * 6],
    }
    # One of four candidates is chosen for each row, from the second column on; the states are those of the prompts.
    history = [[STATES[token] for token in row] for row in ragged["prompt"]]
    beams = {name: sampler("beam", num_beams=3, return_all_beams=True, **more)
             for name, more in (("plain", {}), ("cool", {"temperature": 0.5}), ("warm", {"temperature": 2.0}))}  # fmt: skip
    return [
        three_beams("beam.score#rows", "Each row has its own beams.", "Beams BatchMate", rows_of([0, 1, 2, 5], 7)),
        probe("loop.temperature#beams", "Temperature 0.5 before beams are scored.", "Beams",
              sample(BOTH, beams["cool"], logs(WIDE), **rows_of([0, 3], 7))),
        probe("loop.temperature#warm-beams", "Temperature 2 before beams are scored.", "Beams",
              sample(BOTH, beams["warm"], logs(WIDE), **rows_of([2, 6], 7))),
        three_beams("beam.finished-go-on#rows", "Rows whose beams stop at different steps: the search ends when all beams of all have.",
                    "Beams Stop BatchMate", rows_of([0, 5], 9), [3]),
        probe("beam.finished-go-on#one-row-never-stops", "A row that never stops keeps the others going.", "Beams Stop BatchMate",
              sample(BOTH, beams["plain"], logs(WIDE), stop_token_ids=[4, 2], **rows_of([5, 2], 10))),
        three_beams("beam.forced-columns#rows", "Three prompts of different lengths.", "Beams Ragged", forced),
        probe("contrastive.score#rows", "Each row has its own candidates and its own past.", "Contrastive BatchMate",
              sample(IDS, sampler("contrastive", k=4, alpha=0.5), logs(WIDE), **rows_of([0, 3, 5], 9), **past([0, 3, 5], 9))),
        probe("loop.temperature#contrastive", "Temperature before candidates are scored.", "Contrastive",
              sample(IDS, sampler("contrastive", k=4, alpha=0.5, temperature=3.0), logs(WIDE), **rows_of([0, 3, 5], 9),
                     **past([0, 3, 5], 9))),
        probe("contrastive.candidates#ragged", "Prompts of different lengths: forced tokens are candidates of their own.",
              "Contrastive Ragged", sample(IDS, sampler("contrastive", k=3, alpha=0.6), logs(WIDE), states=STATES,
                                           hidden_states=history, **ragged)),
        probe("loop.stop#contrastive-rows", "Contrastive search ends when every row has stopped.", "Contrastive Stop BatchMate",
              sample(IDS, sampler("contrastive", k=3, alpha=0.6), logs(WIDE), stop_token_ids=[6], **rows_of([0, 3, 5], 10),
                     **past([0, 3, 5], 10))),
        probe("loop.prompt-kept#rows", "Longer prompts are kept, and each row goes on from its own end.", "Ragged",
              sample(IDS, sampler("greedy"), logs(WIDE), **ragged)),
        probe("loop.stop#rows", "A row that has stopped goes on until the last one has.", "Stop BatchMate",
              sample(IDS, sampler("greedy"), logs(WIDE), stop_token_ids=[2], **rows_of([0, 3, 5, 6], 9))),
    ]  # fmt: skip


def in_turn() -> list[dict[str, Any]]:
    """Several calls of `generate`."""
    inputs = batch("bart_dropout0", [(9, 2), (4, 5), (7, 3)], 9, 10)
    keys = {"exact": ["decoder_token_ids", "decoder_padding_mask"]}

    def generate(chosen: Any, stops: Any = None) -> dict[str, Any]:
        return step("generate", keys, inputs=inputs, stop_token_ids=stops, sampler=chosen)

    bare = load("bart_dropout0", preprocessor=None, keep=False)
    draws, beams = sampler("random", seed=5), sampler("beam", num_beams=3)
    return [
        ask("samplers.seed.state#calls-of-generate", "Exact draws: a second call goes on where the first ended.", "Seeds",
            bare, generate(draws), generate(draws), generate(sampler("top_k", k=4, seed=5)), capability="jax-random", by="jax"),
        ask("samplers.beam.cache-follows#calls", "Beams, then greedy, then beams again over one model.", "Beams Cache SideEffect",
            bare, generate(beams), generate("greedy"), generate(beams)),
    ]  # fmt: skip
