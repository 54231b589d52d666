"""The questions, chapter by chapter, without the answers that a producer gives."""

from typing import Any

# What failing a case means. Every flag of every case is here; the case files carry the ones they use.
FLAGS = {
    "Split": "text is cut into words by another pattern than GPT-2's; ids differ on ordinary text",
    "Merge": "merges are applied in another order than by rank, leftmost first",
    "Bytes": "text that is not ASCII is lost or garbled",
    "SpecialToken": "special tokens are not found in text, or found where there are none",
    "Segment": "words are cut into other pieces than the SentencePiece model's rules cut them",
    "Whitespace": "spaces are kept, lost or added elsewhere than the SentencePiece model says",
    "Normalize": "text is normalized by other rules than the SentencePiece model's own",
    "Unknown": "what has no piece becomes other ids: runs not fused, bytes not used, or used unasked",
    "Detokenize": "ids become text with spaces, control pieces or unknown ids at the wrong place, or an error",
    "Vocabulary": "ids are taken from constants or positions instead of the preset's vocabulary",
    "Packing": "start, end or padding stand at other places than the model was trained with",
    "Truncation": "a text that is too long is cut elsewhere, or loses its end token",
    "Shift": "labels are not the inputs moved by one",
    "InputKind": "an input of a documented kind is refused, or gives another kind of output",
    "BadInput": "a wrong input is not refused; the output is made from garbage",
    "Arithmetic": "the forward pass computes something else",
    "Trace": "a block inside the model computes something else: it is the one that is named",
    "Padding": "the output depends on padding: on its amount, or on what stands there",
    "BatchMate": "a row's output depends on the rows beside it",
    "Epsilon": "layer norm's epsilon is wrong or in another place; seen where the variance is near it",
    "FullyMasked": "a row without any source token gives NaN, or a mean over padding",
    "Cache": "decoding over the cache differs from the whole pass: text goes wrong from the second step on",
    "Stop": "generation stops too early, too late or never",
    "StopInPrompt": "a stop token of the prompt counts: BART's prompt starts with one, so nothing is generated",
    "Length": "max_length is counted from another place",
    "Ragged": "prompts of different lengths disturb one another",
    "Ties": "of equally probable tokens another one is taken",
    "Load": "a preset is loaded as something else than it says",
    "SilentLoad": "a broken preset loads without a word; weights stay random or unread",
    "Save": "what is saved is not what was there",
    "Exact": "the result depends on the batch in its last bits",
    "Sampling": "tokens are drawn from another distribution than the sampler's settings say",
    "Seeds": "a seed gives other tokens than KerasHub on JAX gives",
    "Beams": "beam search keeps, scores or orders its beams otherwise",
    "Contrastive": "contrastive search scores its candidates otherwise",
    "Drafting": "a draft model changes the result, not only the time",
    "SideEffect": "the call changes its caller's data",
}


def step(op: str, expect: dict[str, Any] | None = None, **args: Any) -> dict[str, Any]:
    """One message. `expect` may leave answers open: {"exact": [keys]}, {"numeric": [keys]}, {"generation": None}."""
    return {"op": op, "args": args} | ({} if expect is None else {"expect": expect})


def load(preset: str, expect: dict[str, Any] | None = None, damage: Any = None, **args: Any) -> dict[str, Any]:
    """Load a preset of the suite, or a damaged copy."""
    message = step("load", expect, preset=preset, **args)
    return message | ({"damage": damage} if damage else {})


def ask(
    id: str, about: str, flags: str, *steps: dict[str, Any], capability: str = "core", by: str = "keras_hub"
) -> dict[str, Any]:
    """One question; `by` names the producer: keras_hub, transformers, tokenizers, or hand (all is in `expect`)."""
    named = flags.split()
    assert set(named) <= set(FLAGS), named
    return {"id": id, "about": about, "flags": named, "capability": capability, "steps": list(steps), "by": by}


def refused(*kinds: str, mentions: tuple[str, ...] = ()) -> dict[str, Any]:
    """An error of one of these kinds, whose message names what it is about."""
    return {"error": {"kinds": list(kinds)} | ({"mentions": list(mentions)} if mentions else {})}


def all_questions() -> list[dict[str, Any]]:
    """Every question of every chapter."""
    from conformance.make.questions import (
        covering,
        decoding,
        generate,
        invariance,
        models,
        moonshine,
        preprocessing,
        presets,
        samplers,
        searches,
        sentence_piece,
        t5,
        t5gemma,
        tie_aware,
        tokenizers,
        traces,
    )

    text = (tokenizers, preprocessing, sentence_piece)
    rooms = (
        *text,
        models,
        traces,
        decoding,
        generate,
        tie_aware,
        presets,
        invariance,
        samplers,
        searches,
        t5,
        t5gemma,
        moonshine,
        covering,
    )
    return [question for room in rooms for question in room.questions()]
