"""T5Gemma: the forward pass and generation. The truth is Hugging Face's T5Gemma in float64 on the same weights."""

from typing import Any

from conformance.make.questions import ask, load, step

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
        ask("generate.greedy.argmax#t5gemma", "Greedy tokens of ragged prompts.", "Arithmetic Cache",
            load(PRESET, preprocessor=None), greedy, capability="t5gemma"),
    ]  # fmt: skip
