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


def probe(id: str, about: str, op: str, inputs: Any) -> dict[str, Any]:
    """One numeric question."""
    asked = step(op, EXPECTED[op], inputs=inputs)
    return ask(f"{T5GEMMA}.{id}", about, "Arithmetic", load(PRESET), asked, capability="t5gemma", by="transformers")


def questions() -> list[dict[str, Any]]:
    """All questions about T5Gemma."""
    ragged = batch([(11, 13), (6, 12), (3, 10)], 11, 13)  # each position sees a token in its window
    spoken = batch([(9, 1), (4, 3)], 9, 12)
    greedy = step("generate", {"generation": None}, inputs=spoken, stop_token_ids=None)
    return [
        probe("encoder-layer#states", "Encoder states of every position, two layers, six heads on two keys.", "states",
              batch([(9, 2), (5, 2)], 9, 2)),
        probe("decoder-layer#states", "Decoder states of another width than the encoder's.", "states",
              batch([(5, 4), (3, 3)], 5, 4)),
        probe("embedding#one-token", "One token on each side: each table's vector times the root of its width.",
              "states", batch([(1, 1)], 1, 1)),
        probe("window#longer-than-it", "Fifteen positions and a window of three in the first of two layers.", "states",
              batch([(2, 15)], 2, 15)),
        probe("rotary#far", "Positions up to 60 on both sides.", "states", batch([(60, 60)], 60, 60)),
        probe("attention#ragged", "Three ragged rows: padding is masked after the soft cap.", "states", ragged),
        probe("head#capped", "Logits near their soft cap of 3.", "logits", ragged),
        ask("generate.greedy.argmax#t5gemma", "Greedy tokens of ragged prompts beyond the window.", "Arithmetic Cache",
            load(PRESET, preprocessor=None), greedy, capability="t5gemma"),
    ]  # fmt: skip
