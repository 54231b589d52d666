"""Searches over a model with random weights, checked tie-aware, and saved weights, checked bit for bit."""

from typing import Any

from conformance.make.questions import ask, load, step
from conformance.make.questions.batches import rows_of
from conformance.make.questions.samplers import sampler


def prompts() -> dict[str, Any]:
    """Ragged sources and prompts of three tokens, chosen among a few for saying different tokens."""
    found: dict[str, Any] = {
        f"{side}_{kind}": [] for side in ("encoder", "decoder") for kind in ("token_ids", "padding_mask")
    }
    for start, used in ((0, 8), (1, 8), (2, 8), (3, 5)):
        source = [0, *((i * 37 + start * 61) % 270 + 10 for i in range(used - 2)), 2]
        found["encoder_token_ids"].append(source + [1] * (8 - used))
        found["encoder_padding_mask"].append([i < used for i in range(8)])
        found["decoder_token_ids"].append([2, 0, start * 91 % 270 + 10] + [1] * 9)
        found["decoder_padding_mask"].append([i < 3 for i in range(12)])
    return found


def questions() -> list[dict[str, Any]]:
    """Prompts of one length, no stop token."""
    whole = prompts()
    rows = [
        ("beam.score#arithmetic", "Three beams.", "Beams", sampler("beam", num_beams=3), rows_of(whole, 0, 1, 3)),
        ("beam.score#one-row", "Five beams of one row.", "Beams", sampler("beam", num_beams=5), rows_of(whole, 2)),
        ("contrastive.score#arithmetic", "Four candidates.", "Contrastive",
         sampler("contrastive", k=4, alpha=0.6), rows_of(whole, 0, 1, 3)),
        ("contrastive.score#unlike", "Only unlikeness counts.", "Contrastive",
         sampler("contrastive", k=3, alpha=1.0), rows_of(whole, 0)),
    ]  # fmt: skip
    return saved() + [
        ask(f"samplers.{slug}", about, f"{flag} Arithmetic", load("bart_dropout0", preprocessor=None),
            step("generate", {"generation": None}, inputs=inputs, sampler=chosen, stop_token_ids=None))
        for slug, about, flag, chosen, inputs in rows
    ]  # fmt: skip


def saved() -> list[dict[str, Any]]:
    """What is saved after loading is what was loaded."""
    return [
        ask(f"presets.save.round-trip#weights-of-{preset.removeprefix('bart_')}", "Every dataset, bit for bit.", "Save",
            load(preset), step("save", {"saved_weights": {"path": "$scratch/saved", "preset": preset}},
                               path="$scratch/saved"), by="hand")
        for preset in ("bart_tiny", "bart_dropout0")
    ]  # fmt: skip
