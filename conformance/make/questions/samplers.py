# ruff: noqa: E501  (tables read better unbroken)
"""Samplers: on a table of probabilities that can be worked by hand, and in `generate`."""

from math import log
from typing import Any

from conformance.make.questions import ask, load, refused, step
from conformance.make.questions.batches import DROPOUT0, batch

TABLE = [  # probabilities of the next token, by the last one; no two rows and no two tokens alike
    [0.31, 0.05, 0.22, 0.08, 0.34],
    [0.12, 0.28, 0.11, 0.45, 0.04],
    [0.26, 0.13, 0.09, 0.21, 0.31],
    [0.07, 0.36, 0.24, 0.03, 0.30],
    [0.41, 0.19, 0.15, 0.17, 0.08],
]
BY_HAND = [0.5, 0.3, 0.15, 0.05]
TIES = [0.1, 0.3, 0.3, 0.2, 0.1]
STATES = [[1.0, 0.2, 0.0], [0.9, 0.5, 0.1], [0.1, 1.0, 0.3], [0.3, 0.1, 1.0], [-0.4, 0.8, 0.2]]
FALSE_ALARM = {3: 45.1, 2: 41.4, 1: 37.3}  # chi-square by degrees of freedom, exceeded once in 1e9 runs


def logs(rows: list[list[float]]) -> list[list[float]]:
    """Logits of a table of probabilities."""
    return [[round(log(p), 6) if p else -1e9 for p in row] for row in rows]


def same(probabilities: list[float]) -> list[list[float]]:
    """The same distribution after every token."""
    return logs([probabilities] * len(probabilities))


def sampler(name: str, **settings: Any) -> dict[str, Any]:
    """A sampler as `serialize` gives it."""
    words = {"top_k": "TopK", "top_p": "TopP"}.get(name, name.capitalize())
    return {"class_name": f"keras_hub>{words}Sampler", "config": settings}


def sample(expect: dict[str, Any], chosen: Any, logits: list[list[float]], width: int = 7,
           rows: int = 2, **args: Any) -> dict[str, Any]:  # fmt: skip
    """A sampler alone on a table; the prompt is token 0 in the first column."""
    given = {"prompt": [[0] * width] * rows, "mask": [[True] + [False] * (width - 1)] * rows, "index": 1}
    return step("sample", expect, sampler=chosen, logits=logits, **given | args)


def probe(id: str, about: str, flags: str, *steps: dict[str, Any], by: str = "keras_hub", capability: str = "probe",
          ) -> dict[str, Any]:  # fmt: skip
    """A question about a sampler alone."""
    return ask(f"samplers.{id}", about, flags, *steps, capability=capability, by=by)


def questions() -> list[dict[str, Any]]:
    """All questions of the chapter but those that the scripted model answers in `generate`."""
    return supports() + frequencies() + seeds() + searches() + settings() + in_generate()


def supports() -> list[dict[str, Any]]:
    """Distributions with one possible token."""
    one = [[0] + [1] * 6] * 2
    sure = [
        ("greedy.ties#table", "Of two equal tokens the one with the lower id.", sampler("greedy")),
        ("top-k.support#one", "k=1 is greedy; of equals the lower id.", sampler("top_k", k=1)),
        ("top-p.first-kept#zero", "p=0 keeps the most probable token.", sampler("top_p", p=0.0)),
        ("top-p.first-kept#below-the-highest", "So does any p below its probability.", sampler("top_p", p=0.29)),
        ("temperature.zero#greedy", "Temperature 0: the most probable token.", sampler("greedy", temperature=0.0)),
        ("temperature.zero#random", "Temperature 0: the most probable token.", sampler("random", temperature=0.0)),
        ("temperature.zero#top-k", "Temperature 0: the most probable token.", sampler("top_k", temperature=0.0)),
        ("temperature.zero#top-p", "Temperature 0: the most probable token.", sampler("top_p", temperature=0.0)),
        ("temperature.zero#beam", "Temperature 0: the most probable token.", sampler("beam", temperature=0.0)),
    ]  # fmt: skip
    return [probe(id, about, "Ties" if "ties" in id else "Sampling", sample({"exact": {"ids": [one]}}, chosen, same(TIES)),
                  by="hand") for id, about, chosen in sure]  # fmt: skip


def frequencies() -> list[dict[str, Any]]:
    """How often each token comes in 4000 draws."""
    rows: list[tuple[str, str, dict[str, Any], list[float], list[float]]] = [
        ("random.distribution#table", "Each token with its probability.", sampler("random", seed=1), BY_HAND, BY_HAND),
        ("top-k.support#three", "Three tokens, in proportion.", sampler("top_k", k=3, seed=1), BY_HAND, [0.5, 0.3, 0.15, 0]),
        ("top-k.order#ties", "Of equals at the end of the k the one with the lower id.", sampler("top_k", k=2, seed=1),
         [0.2, 0.4, 0.2, 0.2], [0.2, 0.4, 0, 0]),
        ("top-p.support#crossing-token", "The token that crosses p is kept.", sampler("top_p", p=0.6, seed=1), BY_HAND,
         [0.5, 0.3, 0, 0]),
        ("top-p.boundary#exactly", "A sum of exactly p keeps one more.", sampler("top_p", p=0.5, seed=1), [0.25] * 4,
         [0.25, 0.25, 0.25, 0]),
        ("top-p.support#all", "p=1 keeps everything.", sampler("top_p", p=1.0, seed=1), BY_HAND, BY_HAND),
        ("top-p.with-k#not-scaled-up", "k first, and the rest is not scaled up to 1.",
         sampler("top_p", p=0.75, k=3, seed=1), [0.4, 0.3, 0.2, 0.1], [0.4, 0.3, 0.2, 0]),
        ("loop.temperature#before-top-p", "Temperature 0.5 makes [16, 9, 4, 1] / 30 of these before p is applied.",
         sampler("top_p", p=0.62, temperature=0.5, seed=1), [0.4, 0.3, 0.2, 0.1], [16, 9, 0, 0]),
        ("loop.temperature#before-top-p-not-after", "Cut at 0.72 after the temperature it is two tokens, before it three.",
         sampler("top_p", p=0.72, temperature=0.5, seed=1), [0.4, 0.3, 0.2, 0.1], [16, 9, 0, 0]),
        ("loop.temperature#warm", "Temperature 2 takes square roots.", sampler("random", temperature=2.0, seed=1),
         [0.64, 0.2704, 0.0784, 0.0112], [0.8, 0.52, 0.28, 0.105830]),
    ]  # fmt: skip
    found = []
    for id, about, chosen, table, kept in rows:
        wanted = [round(p / sum(kept), 8) for p in kept]
        rule = {"wanted": wanted, "limit": FALSE_ALARM[sum(p > 0 for p in kept) - 1]}
        question = sample({"frequencies": rule}, chosen, same(table), width=501, rows=1, repeat=8)
        found.append(probe(id, about, "Sampling", question, by="hand"))
    return found


def seeds() -> list[dict[str, Any]]:
    """Draws that repeat those of KerasHub on JAX token for token, over three calls of one sampler."""
    ragged = {"prompt": [[0, 0, 0, 0, 0, 0, 0], [0, 3, 2, 2, 0, 0, 0]],
              "mask": [[True] + [False] * 6, [True] * 4 + [False] * 3]}  # fmt: skip
    rows: list[tuple[str, str, dict[str, Any], dict[str, Any]]] = [
        ("random.gumbel#random", "The sampler random.", sampler("random", seed=42), {}),
        ("random.gumbel#temperature", "With a temperature.", sampler("random", seed=7, temperature=0.7), {}),
        ("random.threefry#largest-seed", "The largest seed.", sampler("random", seed=2**32 - 1), {}),
        ("random.threefry#zero", "The seed 0.", sampler("random", seed=0), {}),
        ("top-k.order#seeded", "The draw is over ranks, the highest first.", sampler("top_k", k=3, seed=11), {}),
        ("top-p.support#seeded", "The draw is over ranks, the highest first.", sampler("top_p", p=0.6, seed=5), {}),
        ("top-p.with-k#seeded", "Noise for k ranks.", sampler("top_p", p=0.9, k=3, seed=5), {}),
        ("seed.state#forced-columns", "A draw is made for forced columns too.", sampler("random", seed=3), ragged),
    ]  # fmt: skip
    return [
        probe(id, f"Exact draws: {about}", "Seeds", sample({"exact": ["ids"]}, chosen, logs(TABLE), calls=3, **args),
              capability="jax-random", by="jax")
        for id, about, chosen, args in rows
    ]  # fmt: skip


def searches() -> list[dict[str, Any]]:
    """Beam and contrastive search on the table."""
    beams, both = sampler("beam", num_beams=3, return_all_beams=True), {"exact": ["ids", "log_probs"]}
    ragged = {"prompt": [[1, 0, 0, 0, 0], [1, 2, 3, 0, 0]], "mask": [[True] + [False] * 4, [True] * 3 + [False] * 2]}
    prompts = {"prompt": [[1, 0, 0, 0, 0, 0]], "rows": 1}
    past = {"states": STATES, "hidden_states": [[STATES[0]] * 7] * 2}
    pairs = logs([[0.55, 0.45], [0.9, 0.1]])
    return [
        probe("beam.return-all#table", "All beams and their scores, the best first.", "Beams",
              # From here, so far, no two of the beams say the same words in another order: those tie exactly.
              sample(both, beams, logs(TABLE), width=5, prompt=[[2, 0, 0, 0, 0]], rows=1)),
        probe("beam.best#table", "The best beam alone.", "Beams",
              sample({"exact": ["ids"]}, sampler("beam", num_beams=3), logs(TABLE), width=6, **prompts)),
        probe("beam.first-step#more-beams-than-words", "Six beams over two words.", "Beams",
              sample({"exact": {"ids": [[[0, 0, 0], [0, 0, 1], [0, 1, 0], [0, 1, 1]]]}},
                     sampler("beam", num_beams=4, return_all_beams=True), same([0.7, 0.3]), width=3, rows=1), by="hand"),
        probe("beam.finished-go-on#table", "A beam that has stopped is extended and scored like any other.", "Beams Stop",
              sample(both, sampler("beam", num_beams=2, return_all_beams=True), pairs, prompt=[[0, 7, 7, 7]], width=4,
                     rows=1, stop_token_ids=[1])),
        probe("beam.forced-columns#table", "A forced column adds the model's own candidates to the scores.", "Beams Ragged",
              sample(both, sampler("beam", num_beams=2, return_all_beams=True), logs(TABLE), width=5, **ragged)),
        probe("beam.score#ties", "Equals by beam, then by id.", "Beams Ties",
              sample({"exact": {"ids": [[[0, 0, 0], [0, 0, 1], [0, 0, 2]]]}}, beams, same([0.25] * 4), width=3, rows=1),
              by="hand"),
        probe("contrastive.score#table", "Probable and unlike what was said.", "Contrastive",
              sample({"exact": ["ids"]}, sampler("contrastive", k=3, alpha=0.6), logs(TABLE), **past)),
        probe("contrastive.score#alpha-small", "With a small alpha probability decides.", "Contrastive",
              sample({"exact": ["ids"]}, sampler("contrastive", k=3, alpha=0.1), logs(TABLE), **past)),
        probe("contrastive.candidates#k-2", "Of two candidates.", "Contrastive",
              sample({"exact": ["ids"]}, sampler("contrastive", k=2, alpha=0.9), logs(TABLE), **past)),
        probe("loop.integer-mask#contrastive", "A mask of 0 and 1 is a mask: a stop token of the prompt does not count.",
              "Contrastive StopInPrompt",
              sample({"exact": {"ids": [[[4, 0, 4]]]}}, sampler("contrastive", k=1), logs(TABLE), prompt=[[4, 2, 2]], width=3,
                     rows=1, mask=[[1, 0, 0]], stop_token_ids=[4], **past | {"hidden_states": [[STATES[0]] * 3]}),
              by="hand"),
        probe("loop.stop#fill-value", "A stop token that the columns to come are filled with has not been said.", "Stop",
              sample({"exact": {"ids": [[[4, 0, 4]] * 2]}}, sampler("greedy"), logs(TABLE), width=3,
                     prompt=[[4, 4, 4]] * 2, stop_token_ids=[4]),
              by="hand"),
    ]  # fmt: skip


def settings() -> list[dict[str, Any]]:
    """Settings and names that can't be, and what a draft model changes."""
    rows: list[tuple[str, str, dict[str, Any]]] = [
        ("temperature.range#negative", "A negative temperature", sampler("greedy", temperature=-1.0)),
        ("settings.counts#no-beam", "No beam at all", sampler("beam", num_beams=0)),
        ("settings.counts#k-zero", "k=0", sampler("top_k", k=0)),
        ("settings.fractions#p-over-one", "p over 1", sampler("top_p", p=1.5, seed=1)),
        ("top-k.over-vocabulary#top-k", "k over the vocabulary", sampler("top_k", k=6)),
        ("seed.range#negative", "A negative seed", sampler("random", seed=-1)),
        ("seed.range#33-bits", "A seed of 33 bits", sampler("random", seed=2**32)),
        ("config.class-names#unknown", "An unknown class", {"class_name": "keras_hub>BestSampler", "config": {}}),
    ]  # fmt: skip
    kinds = ("value", "type", "key", "index", "overflow", "runtime", "InvalidArgumentError")
    refusals = [
        probe(
            id,
            f"{about} is refused.",
            "BadInput",
            sample(refused(*kinds), chosen, same([0, 0, 1, 0, 0]) if "p-over" in id else logs(TABLE)),
            by="hand",
        )
        for id, about, chosen in rows
    ]
    greedy = [[0, 4, 0, 4, 0, 4, 0], [3, 1, 3, 1, 3, 1, 3]]
    prompts = {"prompt": [[0] * 7, [3] + [0] * 6], "draft": logs(TABLE[::-1])}
    draft = sampler("speculative", num_speculative_tokens=3)
    return [
        *refusals,
        probe("speculative.greedy-equals-target#table", "A draft of another opinion: the target's greedy output.",
              "Drafting", sample({"exact": {"ids": [greedy]}}, draft, logs(TABLE), **prompts), by="hand"),
        probe("speculative.greedy-equals-target#same-opinion", "A draft that agrees: the target's greedy output.",
              "Drafting", sample({"exact": {"ids": [greedy]}}, draft, logs(TABLE), **prompts | {"draft": logs(TABLE)}),
              by="hand"),
        probe("speculative.distribution#table", "Whatever the draft thinks, tokens have the target's distribution.",
              "Drafting", sample({"frequencies": {"wanted": [0.1, 0.2, 0.3, 0.4], "limit": FALSE_ALARM[3]}},
                                 sampler("speculative", num_speculative_tokens=2, seed=3, base_sampler=sampler("random")),
                                 same([0.1, 0.2, 0.3, 0.4]), width=501, rows=1, repeat=8, draft=same([0.45, 0.05, 0.4, 0.1])),
              by="hand"),
        probe("loop.prompt-kept#speculative", "A draft leaves longer prompts alone.", "Drafting Ragged",
              sample({"exact": {"ids": [[[0, 4, 0, 4], [0, 1, 1, 3]]]}}, draft, logs(TABLE), width=4,
                     prompt=[[0, 0, 0, 0], [0, 1, 1, 0]], mask=[[True] + [False] * 3, [True] * 3 + [False]],
                     draft=logs(TABLE[::-1])), by="hand"),
    ]  # fmt: skip


def in_generate() -> list[dict[str, Any]]:
    """Samplers chosen by name or dictionary in `generate`."""
    bare = load("bart_dropout0", preprocessor=None)
    inputs = batch("bart_tiny", [(11, 2), (6, 2), (3, 2)], 11, 13)
    inputs["decoder_token_ids"] = [[2, 0, *row[2:]] for row in inputs["decoder_token_ids"]]
    keys = {"exact": ["decoder_token_ids", "decoder_padding_mask"]}

    def generate(chosen: Any, expect: dict[str, Any] | None = None, batch: Any = inputs) -> dict[str, Any]:
        return step("generate", expect, inputs=batch, stop_token_ids=None, sampler=chosen)

    def as_greedy(id: str, about: str, chosen: Any) -> dict[str, Any]:
        again = {"same_as": {"step": 1, "keys": ["decoder_token_ids"]}}
        return ask(f"samplers.{id}", about, "Sampling", bare, generate("greedy"), generate(chosen, again), by="hand")

    return [
        as_greedy("get.names#top-k", "top_k with k=1 is greedy.", sampler("top_k", k=1)),
        as_greedy("get.names#top-p", "top_p with p=0 is greedy.", sampler("top_p", p=0.0)),
        as_greedy("get.names#beam", "One beam is greedy.", sampler("beam", num_beams=1)),
        as_greedy("get.names#contrastive", "Contrastive search without penalty is greedy.",
                  sampler("contrastive", k=4, alpha=0.0)),
        as_greedy("get.names#random", "At a temperature of 0.001 random is greedy.", sampler("random", temperature=0.001)),
        as_greedy("get.names#short-name", "A dictionary may use the short name.",
                  {"class_name": "top_k", "config": {"k": 1}}),
        ask("samplers.beam.cache-follows#two-layers", "Four beams over random weights: the cache goes with the beams.",
            "Beams Cache", load("bart_tiny", preprocessor=None), generate(sampler("beam", num_beams=4), keys)),
        ask("samplers.beam.forced-columns#ragged", "Beams with prompts of different lengths.", "Beams Ragged", bare,
            generate(sampler("beam", num_beams=3), keys, DROPOUT0)),
        ask("samplers.contrastive.hidden-states#two-layers", "Contrastive search over random weights.", "Contrastive Cache",
            load("bart_tiny", preprocessor=None), generate(sampler("contrastive", k=4, alpha=0.6), keys)),
        ask("samplers.seed.state#generate", "Exact draws: top_k over random weights.", "Seeds", bare,
            generate(sampler("top_k", k=4, seed=11), keys), capability="jax-random", by="jax"),
    ]  # fmt: skip
