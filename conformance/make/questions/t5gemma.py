# ruff: noqa: E501  (tables read better unbroken)
"""T5Gemma: the forward pass and generation. The truth is Hugging Face's T5Gemma in float64 on the same weights."""

from typing import Any

from conformance.make.questions import ask, load, step
from conformance.make.questions.covering import changes
from conformance.make.questions.samplers import sampler

PRESET, SIZE, T5GEMMA = "t5gemma_tiny", 353, "models.t5gemma"
EXPECTED = {
    "states": {"numeric": ["encoder_sequence_output", "decoder_sequence_output"]},
    "logits": {"numeric": ["logits"]},
}


def batch(rows: list[tuple[int, int]], source: int, spoken: int) -> dict[str, Any]:
    """Ids from a written sequence; `rows` gives the number of encoder and decoder tokens of each row. Padding is 0."""
    found: dict[str, Any] = {}
    for n, (side, width) in enumerate((("encoder", source), ("decoder", spoken))):
        used = [pair[n] for pair in rows]
        found[f"{side}_token_ids"] = [
            [(7919 * (i + 1) * (b + 2) + 31 * n + 101 * i * i) % (SIZE - 4) + 4 for i in range(count)]
            + [0] * (width - count)
            for b, count in enumerate(used)
        ]
        found[f"{side}_padding_mask"] = [[True] * count + [False] * (width - count) for count in used]
    return found


def probe(id: str, about: str, op: str, inputs: Any, window: int | None = None) -> dict[str, Any]:
    """One numeric question. A `window` takes the place of the preset's."""
    places = (("config.json", ["config"]), ("task.json", ["config", "backbone", "config"]))
    wider = [{"change": "set", "file": file, "keys": [*keys, "sliding_window"], "value": window}
             for file, keys in places] if window else None  # fmt: skip
    loaded, asked = load(PRESET, damage=wider), step(op, EXPECTED[op], inputs=inputs)
    return ask(f"{T5GEMMA}.{id}", about, "Arithmetic", loaded, asked, capability="t5gemma", by="transformers")


def questions() -> list[dict[str, Any]]:
    """All questions about T5Gemma."""
    ragged = batch([(11, 12), (6, 11), (3, 9)], 11, 12)
    nothing = batch([(4, 2), (3, 2)], 4, 2)
    nothing["encoder_padding_mask"][0] = [False] * 4
    spoken = batch([(9, 1), (4, 3)], 9, 12)
    greedy = step("generate", {"generation": None}, inputs=spoken, stop_token_ids=None)
    return [
        probe("encoder-layer#states", "Encoder states of every position, two layers, six heads on two keys.", "states",
              batch([(9, 2), (5, 2)], 9, 2)),
        probe("decoder-layer#states", "Decoder states of another width than the encoder's.", "states",
              batch([(5, 4), (3, 3)], 5, 4)),
        probe("embedding#one-token", "One token on each side: each table's vector times the root of its width.",
              "states", batch([(1, 1)], 1, 1)),
        probe("window#decoder", "Sixteen positions and a window of 12, the own one among them, in the first layer.",
              "states", batch([(2, 16)], 2, 16)),
        probe("window#encoder", "The encoder's first layer sees 12 positions to both sides.", "states",
              batch([(16, 2)], 16, 2)),
        probe("rotary#far", "Positions up to 60 on both sides, in a wider window.", "states",
              batch([(60, 60)], 60, 60), 64),
        probe("attention#ragged", "Three ragged rows: padding is masked after the soft cap.", "states", ragged),
        probe("head#capped", "Logits near their soft cap of 3.", "logits", ragged),
        probe("feed-forward#states", "The activation is on the gate.", "states", batch([(4, 3)], 4, 3)),
        probe("rms-norm#states", "Gains of 1 + scale, on streams of two widths.", "states", batch([(3, 5)], 3, 5)),
        closed_gates(),
        ask("models.backbone.count-params#t5gemma", "Two tables; the head is the decoder's.", "Load",
            load(PRESET, {"exact": ["params"]}), capability="t5gemma"),
        ask("models.attention.nothing-to-attend#t5gemma", "A row without source attends to nothing.", "FullyMasked",
            load(PRESET), step("logits", EXPECTED["logits"], inputs=nothing), capability="t5gemma", by="zeros"),
        *cached(), *generated(), *text(),
        ask("generate.greedy.argmax#t5gemma", "Greedy tokens of ragged prompts.", "Arithmetic Cache",
            load(PRESET, preprocessor=None), greedy, capability="t5gemma"),
    ]  # fmt: skip


def closed_gates() -> dict[str, Any]:
    """One gate a layer, far below 0 for some tokens, and a norm behind it that makes its last digits large."""
    narrow = {f"{side}_intermediate_dim": 1 for side in ("encoder", "decoder")} | {"hidden_activation": "silu"}
    places = [f"t5_gemma_{side}_layer{n}/mlp/gate_proj" for side in ("encoder", "decoder") for n in ("", "_1")]
    further = [{"change": "scale-dataset", "file": "model.weights.h5", "dataset": f"layers/{place}/vars/0", "factor": 48.0}
               for place in places]  # fmt: skip
    damage = [*changes("t5gemma", narrow | {"rms_norm_eps": 1e-6}), *further]
    return ask(f"{T5GEMMA}.feed-forward#gates-nearly-closed", "Gates that let next to nothing through.", "Arithmetic",
               load(PRESET, damage=damage), step("states", EXPECTED["states"], inputs=batch([(11, 11), (9, 7), (10, 11)], 11, 11)),
               capability="t5gemma", by="transformers")  # fmt: skip


def cached() -> list[dict[str, Any]]:
    """Keys are cached turned, and shared; rows are full."""
    rows: list[tuple[str, str, Any, list[int]]] = [
        ("t5gemma-one-by-one", "One token a step, two rows.", batch([(5, 6), (3, 6)], 5, 6), [1] * 6),
        ("t5gemma-beyond-the-window", "A prompt over most of the window, then over its end.",
         batch([(2, 13)], 2, 13), [11, 1, 1]),
    ]  # fmt: skip
    return [
        ask(f"decoding.cache.equals-uncached#{slug}", about, "Cache", load(PRESET),
            step("cached_logits", EXPECTED["logits"], inputs=inputs, chunks=chunks), capability="t5gemma",
            by="transformers")
        for slug, about, inputs, chunks in rows
    ]  # fmt: skip


def generated() -> list[dict[str, Any]]:
    """All samplers. Where KerasHub fails, a search over the truth says what is right."""
    two, one, long = batch([(9, 2), (5, 2)], 9, 9), batch([(9, 2)], 9, 9), batch([(15, 2), (6, 4)], 15, 17)
    beams, bare = sampler("beam", num_beams=3), load(PRESET, preprocessor=None)
    rows: list[tuple[str, str, str, Any, Any, str]] = [
        ("beam.score#t5gemma-one-row", "Three beams of one row.", "Beams", one, beams, "keras_hub"),
        ("beam.score#t5gemma", "Three beams of two rows, whose sources differ.", "Beams", two, beams, "transformers"),
        ("contrastive.score#t5gemma", "Four candidates, scored by the decoder's last states.", "Contrastive", two,
         sampler("contrastive", k=4, alpha=0.6), "transformers"),
    ]  # fmt: skip
    draws = [sampler("top_k", k=4, seed=11), sampler("top_p", p=0.6, seed=11), sampler("random", seed=11)]
    tokens = {"exact": ["decoder_token_ids", "decoder_padding_mask"]}
    return [
        *(ask(f"samplers.{id}", about, f"{flag} Arithmetic", bare,
              step("generate", {"generation": None}, inputs=inputs, sampler=chosen, stop_token_ids=None),
              capability="t5gemma", by=by)
          for id, about, flag, inputs, chosen, by in rows),
        ask("generate.greedy.argmax#t5gemma-beyond-the-window", "Greedy tokens of ragged prompts beyond both windows.",
            "Arithmetic Cache", bare, step("generate", {"generation": None}, inputs=long, stop_token_ids=None),
            capability="t5gemma", by="transformers"),
        ask("samplers.seed.state#t5gemma", "Exact draws of three samplers.", "Seeds", load(PRESET, preprocessor=None, keep=False),
            *(step("generate", tokens, inputs=two, sampler=chosen, stop_token_ids=None) for chosen in draws),
            capability="jax-random", by="jax"),
    ]  # fmt: skip


def text() -> list[dict[str, Any]]:
    """Special tokens, frames, and text to text."""
    switches = [("add_start_token", True), ("add_end_token", False)]
    changed = [{"change": "set", "file": file, "keys": [*keys, name], "value": value} for name, value in switches
               for file, keys in (("preprocessor.json", ["config"]), ("task.json", ["config", "preprocessor", "config"]))]  # fmt: skip
    texts = {"encoder_text": ["the Work of any You", "the"], "decoder_text": ["of any", "the Work of any You"]}
    four = [f"{side}_{kind}" for side in ("encoder", "decoder") for kind in ("token_ids", "padding_mask")]
    asked = {"preprocess": {"exact": [*four, "labels", "weights"]}, "generate_preprocess": {"exact": four}}
    lengths, frames = {"encoder_sequence_length": 9, "decoder_sequence_length": 8}, "preprocessing.t5gemma.frames"
    both = [step(op, expect, x=texts) for op, expect in asked.items()]
    special = "tokenizers.t5gemma.special-tokens"
    looked = step("vocabulary", {"exact": ["special_token_ids", "ids", "tokens"]},
                  tokens=["<bos>", "<eos>", "<pad>", "<unk>"], ids=[0, 1, 2, 3])  # fmt: skip
    shown = step("generate_postprocess", {"exact": ["text"]}, decoder_token_ids=[[2, 261, 3, 317, 1, 0]],
                 decoder_padding_mask=[[True] * 5 + [False]])  # fmt: skip
    prompted = {"encoder_text": ["the Work", "of any"], "decoder_text": ["the", "of"]}
    return [
        ask(f"{special}#ids", "Three are special, the unknown piece is not.", "Vocabulary", load(PRESET), looked, capability="t5gemma"),
        ask(f"{special}#left-out", "Special tokens are left out of text.", "SpecialToken", load(PRESET), shown, capability="t5gemma"),
        ask(f"{special}#in-the-text", "Marks within a text are text.", "SpecialToken", load(PRESET),
            step("tokenize", {"exact": ["ids"]}, text=["the <bos> of<eos>", "\n\n 12 été"]), capability="t5gemma"),
        ask(f"{frames}#text", "For training, and for generation.", "Packing Shift", load(PRESET, **lengths), *both, capability="t5gemma"),
        ask(f"{frames}#switches", "A start in the encoder, and no ends.", "Packing", load(PRESET, damage=changed, **lengths), *both,
            capability="t5gemma"),
        ask("generate.input.text#t5gemma", "Texts with prompts of their own, greedily.", "Arithmetic", load(PRESET, **lengths),
            step("generate", {"exact": ["text"]}, inputs=prompted, stop_token_ids=None), capability="t5gemma"),
    ]  # fmt: skip
