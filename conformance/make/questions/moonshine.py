# ruff: noqa: E501  (tables read better unbroken)
"""Moonshine: sound in, text out. The truth is Hugging Face's Moonshine in float64 on the same weights."""

from typing import Any

from conformance.make.questions import ask, load, refused, step
from conformance.make.questions.samplers import sampler

PRESET, SIZE, MOONSHINE, H5 = "moonshine_tiny", 341, "models.moonshine", "model.weights.h5"
STATES = {"numeric": ["encoder_sequence_output", "decoder_sequence_output"]}
LOGITS = {"numeric": ["logits"]}
ROTARY = "layers/moonshine_rotary_embedding"
# Everything that released models have not: padded heads, biases, gates on the other side; other depths.
OTHER = {"pad_head_dim_to_multiple_of": 4, "attention_bias": True, "encoder_use_swiglu_activation": True,
         "decoder_use_swiglu_activation": False, "encoder_num_layers": 2, "decoder_num_layers": 1}  # fmt: skip


def batch(
    lengths: list[int],
    spoken: list[int],
    width: int = 0,
    number: int = 5,
    scale: float = 0.125,
    holes: Any = (),
    size: int = SIZE,
) -> dict[str, Any]:
    """Rows of sound of these lengths, and of so many tokens, by a written sequence. Padding is 0."""
    width, target = width or max(lengths), max(spoken)
    sound: dict[str, Any] = {"number": number, "lengths": lengths, "width": width, "channels": 1}
    ids = [
        [2, *((7919 * (i + 1) * (b + 2) + 101 * i * i) % (size - 10) + 10 for i in range(count - 1))]
        for b, count in enumerate(spoken)
    ]
    return {
        "encoder_input_values": {"$sound": sound | ({} if scale == 0.125 else {"scale": scale})},
        "encoder_padding_mask": {"$mask": {"lengths": lengths, "width": width} | ({"holes": holes} if holes else {})},
        "decoder_token_ids": [row + [0] * (target - len(row)) for row in ids],
        "decoder_padding_mask": [[True] * count + [False] * (target - count) for count in spoken],
    }  # fmt: skip


def probe(
    id: str, about: str, inputs: Any, expect: Any = STATES, damage: Any = None, flags: str = "Arithmetic"
) -> dict[str, Any]:
    """One numeric question."""
    op = "logits" if expect is LOGITS else "states"
    asked = step(op, expect, inputs=inputs)
    return ask(
        f"models.{id}",
        about,
        flags,
        load(PRESET, damage=damage, preprocessor=None),
        asked,
        capability="moonshine",
        by="transformers",
    )


def questions() -> list[dict[str, Any]]:
    """All questions about Moonshine."""
    return [*forward(), *cached(), *generated(), *text(), *sound(), *saved()]


def forward() -> list[dict[str, Any]]:
    """The forward pass."""
    even = batch([895], [4])
    even["decoder_token_ids"] = [[2, 9, 9, 60]]
    slower = [
        {"change": "scale-dataset", "file": H5, "dataset": f"{ROTARY}{side}/vars/0", "factor": 0.5}
        for side in ("", "_1")
    ]
    borders = batch([895, 1278, 1279, 1280, 1662, 1663], [1] * 6, 1664)
    framed = STATES | {"exact": ["encoder_attention_mask"]}
    return [
        probe("moonshine.stem#full", "Three convolutions over 1664 samples give three frames.", batch([1664], [2])),
        probe("moonshine.stem#one-frame", "895 samples are the shortest sound: one frame.", batch([895], [2])),
        ask(f"{MOONSHINE}.audio-length#too-short", "894 samples fill no frame.", "BadInput", load(PRESET, preprocessor=None),
            step("states", refused("value", "runtime"), inputs=batch([894], [2])), capability="moonshine", by="hand"),
        probe("moonshine.group-norm#padding", "The statistics of a row are those of all its samples, padding too.", batch([1664, 895], [2, 2], 2600),
              flags="Arithmetic Padding"),
        probe("moonshine.group-norm#faint", "Sound so faint that the variance is near the epsilon.", batch([1280], [2], scale=2.0**-11), flags="Epsilon"),
        probe("moonshine.frames#borders", "895 samples fill one frame, 1279 two, 1663 three.", borders, framed, flags="Padding"),
        probe("moonshine.frames#padding", "What lies behind the sound is no frame, however much it is.", batch([1664, 1300], [3, 2], 3300), framed, flags="Padding"),
        probe("moonshine.frames#holes", "A mask with holes: the true samples are counted.",
              batch([1664, 1664], [2, 2], holes=[[0, 300, 700]]), framed, flags="Padding"),
        probe("moonshine.rotary#far", "Twenty frames, 26 tokens.", batch([8191], [26])),
        probe("moonshine.rotary#from-file", "The frequencies are weights: here half of what the configuration says.", batch([2815], [6]), damage=slower),
        probe("moonshine.encoder-layer#states", "Six frames through a layer of three heads.", batch([2815], [1], number=7)),
        probe("moonshine.decoder-layer#states", "Two layers of two heads over a source of one and of two frames.", batch([895, 1400], [5, 3])),
        probe("moonshine.feed-forward#states", "Gelu in the encoder; in the decoder the second half is the gate.", batch([1500], [3], number=9)),
        probe("moonshine.head-width#padded", "A gate in the encoder and none in the decoder; heads padded to a multiple of 4, and biases.",
              batch([2047, 1279], [4, 3], size=SIZE), damage=other()),
        probe("moonshine.attention#ragged", "Rows of three, two and one frames.", batch([1664, 1279, 895], [2, 1, 2]), LOGITS, flags="Arithmetic Padding"),
        probe("moonshine.layer-norm#even", "A token whose vector is so even that its variance is near the epsilon.", even, flags="Epsilon"),
        probe("moonshine.head#logits", "The table, transposed, without scale or bias.", batch([1279], [2], number=11), LOGITS),
        probe("moonshine.embedding#one-token", "A token's vector as it stands in the table.", batch([1279], [1], number=13)),
        ask("models.backbone.count-params#moonshine", "Frequencies of rotations are weights too.", "Load", load(PRESET, {"exact": ["params"]}), capability="moonshine"),
        ask("models.attention.nothing-to-attend#moonshine", "A row whose sound fills no frame attends to nothing.", "FullyMasked",
            load(PRESET, preprocessor=None), step("states", STATES, inputs=batch([800, 1400], [2, 2], 1664)), capability="moonshine", by="zeros"),
    ]  # fmt: skip


def other() -> list[dict[str, Any]]:
    """The preset with everything that released models have not, and weights of its shapes."""
    width, inner = 23, 69

    def attention(heads: int, each: int) -> dict[str, Any]:
        found = {f"{part}_dense": [[width, heads, each], [heads, each]] for part in ("query", "key", "value")}
        return found | {"output_dense": [[heads, each, width], [width]]}

    def dense(gated: bool) -> dict[str, Any]:
        wide = inner * (1 + gated)
        return {"dense_1": [[width, wide], [wide]], "dense_2": [[inner, width], [width]]}

    gain = [[width]]
    stem = {"conv1d": [[127, 1, width]], "conv1d_1": [[7, width, 46], [46]], "conv1d_2": [[3, 46, width], [width]],
            "group_normalization": [[width], [width]], "layer_normalization": gain, "layer_normalization_1": gain,
            "moonshine_rotary_embedding": [[2]], "moonshine_rotary_embedding_1": [[4]], "reversible_embedding": [[SIZE, width]]}  # fmt: skip
    encoder = {"self_attention_layer": attention(3, 8), "self_attention_layer_norm": gain, "feedforward_layer_norm": gain,
               "feedforward": dense(True)}  # fmt: skip
    decoder = {"self_attention": attention(2, 12), "cross_attention": attention(2, 12), "norm1": gain, "norm2": gain, "norm3": gain,
               "ff": dense(False)}  # fmt: skip
    block = "layers/moonshine_encoder_block"
    groups = [{"at": ["layers"], "tree": stem}, {"at": [block, f"{block}_1"], "tree": encoder},
              {"at": ["layers/moonshine_decoder_block"], "tree": decoder}]  # fmt: skip
    return [{"change": "remove-file", "file": "task.json"},
            {"change": "set", "file": "config.json", "keys": ["config"], "values": OTHER}, {"change": "fill", "file": H5, "groups": groups}]  # fmt: skip


def cached() -> list[dict[str, Any]]:
    """Keys are cached turned; rows of tokens are full."""
    rows: list[tuple[str, str, Any, list[int]]] = [
        ("moonshine-one-by-one", "One token a step, two rows whose sources differ.", batch([1400, 895], [4, 4]), [1] * 4),
        ("moonshine-prompt", "A prompt, then one token, then two.", batch([1664], [5]), [2, 1, 2]),
    ]  # fmt: skip
    return [
        ask(f"decoding.cache.equals-uncached#{slug}", about, "Cache", load(PRESET, preprocessor=None),
            step("cached_logits", LOGITS, inputs=inputs, chunks=chunks), capability="moonshine", by="transformers")
        for slug, about, inputs, chunks in rows
    ]  # fmt: skip


def generated() -> list[dict[str, Any]]:
    """Greedy search and all samplers, on ids."""
    bare = load(PRESET, preprocessor=None)
    two = batch([1700, 1300], [2, 2]) | room([2, 2], 9)
    ragged = batch([1664, 1279, 895], [1, 3, 2]) | room([1, 3, 2], 10)
    rows: list[tuple[str, str, str, Any, Any]] = [
        ("generate.greedy.argmax", "Greedy tokens of ragged prompts, over sources of three, two and one frames.", "Arithmetic Cache Ragged", ragged, None),
        ("samplers.beam.score", "Three beams of two rows, whose sources differ.", "Beams", two, sampler("beam", num_beams=3)),
        ("samplers.contrastive.score", "Four candidates, scored by the decoder's last states.", "Contrastive", two, sampler("contrastive", k=4, alpha=0.6)),
    ]  # fmt: skip
    draws = [sampler("top_k", k=4, seed=11), sampler("top_p", p=0.6, seed=11), sampler("random", seed=11)]
    tokens = {"exact": ["decoder_token_ids", "decoder_padding_mask"]}
    said = [
        [2, 161, 161, 161, 161, 161, 94],
        [2, 266, 292, 101, 114],
        [2, 241, 94],
    ]  # of the greedy tokens of the first question
    ended = {"decoder_token_ids": [row + [None] * (10 - len(row)) for row in said],
             "decoder_padding_mask": [[True] * len(row) + [False] * (10 - len(row)) for row in said]}  # fmt: skip
    return [
        *(ask(f"{id}#moonshine", about, flags, bare,
              step("generate", {"generation": None}, inputs=inputs, stop_token_ids=None, **({"sampler": chosen} if chosen else {})), capability="moonshine")
          for id, about, flags, inputs, chosen in rows),
        ask("generate.stop.mask#moonshine", "Three rows end at different steps; what follows is hidden.", "Stop Ragged", bare,
            step("generate", {"exact": ended}, inputs=ragged, stop_token_ids=[94, 114]), capability="moonshine", by="hand"),
        ask("samplers.seed.state#moonshine", "Exact draws of three samplers.", "Seeds", load(PRESET, preprocessor=None, keep=False),
            *(step("generate", tokens, inputs=two, sampler=chosen, stop_token_ids=None) for chosen in draws), capability="jax-random", by="jax"),
    ]  # fmt: skip


def room(spoken: list[int], target: int) -> dict[str, Any]:
    """Decoder rows that have room up to a width."""
    found = batch([895] * len(spoken), [*spoken, target])
    return {key: rows[: len(spoken)] for key, rows in found.items() if key.startswith("decoder")}


def text() -> list[dict[str, Any]]:
    """Special tokens, frames, and sound to text."""
    two = {"$sound": {"number": 5, "lengths": [1000, 950], "width": 1000}}
    texts = ["of any", "the Work of any You"]
    decoder = ["decoder_token_ids", "decoder_padding_mask"]
    special, frames = "tokenizers.moonshine.special-tokens", "preprocessing.moonshine.frames"
    looked = step(
        "vocabulary", {"exact": ["special_token_ids", "ids", "tokens"]}, tokens=["<s>", "</s>", "<unk>"], ids=[0, 1, 2]
    )
    shown = step("generate_postprocess", {"exact": ["text"]}, decoder_token_ids=[[2, 261, 0, 317, 1, 0]],
                 decoder_padding_mask=[[True] * 5 + [False]])  # fmt: skip
    short = load(PRESET, decoder_sequence_length=7)
    unprompted = {"decoder_token_ids": [[2, 0, 0, 0]] * 2, "decoder_padding_mask": [[True, False, False, False]] * 2}
    rows: list[tuple[str, str, str, Any, Any]] = [
        (f"{special}#ids", "Start and end are special, the unknown piece is not.", "Vocabulary", load(PRESET), looked),
        (f"{special}#left-out", "Special tokens and padding are left out of text.", "SpecialToken", load(PRESET), shown),
        (f"{special}#in-the-text", "Marks within a text are text.", "SpecialToken", load(PRESET),
         step("tokenize", {"exact": ["ids"]}, text=["the <s> of</s>", "\n\n 12 été"])),
        (f"{frames}#train", "For training: start, text, end; labels moved by one.", "Packing Shift", short,
         step("preprocess", {"exact": [*decoder, "labels", "weights"]}, x={"audio": two, "text": texts})),
        (f"{frames}#prompt", "For generation: start and prompt.", "Packing", short,
         step("generate_preprocess", {"exact": decoder}, x={"audio": two, "text": texts})),
        ("generate.input.audio#prompts", "Sound with prompts, greedily.", "Arithmetic", short,
         step("generate", {"exact": ["text"]}, inputs={"audio": two, "text": ["the", ""]}, stop_token_ids=None)),
    ]  # fmt: skip
    return [
        *(ask(id, about, flags, loaded, asked, capability="moonshine") for id, about, flags, loaded, asked in rows),
        ask(f"{frames}#no-prompt", "Without a prompt there is the start token, once.", "Packing", load(PRESET),
            step("generate_preprocess", {"exact": unprompted}, x={"audio": two}, sequence_length=4), capability="moonshine", by="hand"),
    ]  # fmt: skip


def sound() -> list[dict[str, Any]]:
    """From recordings to the model's inputs."""
    room_ = "preprocessing.audio"

    def recorded(lengths: list[int], silent: Any = (), channels: int = 0) -> dict[str, Any]:
        more = ({"silent": silent} if silent else {}) | ({"channels": channels} if channels else {})
        return {"$sound": {"number": 17, "lengths": lengths, "width": 1000, **more}}

    def mask(lengths: list[int]) -> dict[str, Any]:
        return {"encoder_padding_mask": {"$mask": {"lengths": lengths, "width": 1000}}}

    same = {"encoder_input_values": recorded([1000, 950], channels=1)} | mask([1000, 950])
    rows: list[tuple[str, str, str, Any, Any]] = [
        ("converter#rows", "Rows of samples get a channel and are otherwise as they were.", "InputKind", recorded([1000, 950]), same),
        ("converter#channel", "Rows with a channel are as they were.", "InputKind", recorded([1000, 950], channels=1), same),
        ("mask#silence-inside", "Zeros between sounds are silence, not padding.", "Padding", recorded([1000, 950], [[0, 100, 400], [1, 0, 300]]), mask([1000, 950])),
        ("mask#no-sound", "A row of zeros counts as the shortest sound.", "Padding", recorded([1000, 0]), mask([1000, 895])),
    ]  # fmt: skip
    normalizing = [{"change": "set", "file": file, "keys": [*keys, "config", "do_normalize"], "value": True} for file, keys in (
        ("audio_converter.json", []), ("preprocessor.json", ["config", "audio_converter"]),
        ("task.json", ["config", "preprocessor", "config", "audio_converter"]))]  # fmt: skip
    return [
        ask(f"{room_}.mask#normalized", "What is padding is told from the samples as they came.", "Padding", load(PRESET, damage=normalizing),
            step("generate_preprocess", {"exact": mask([1000, 950])}, x={"audio": recorded([1000, 950]), "text": ["", ""]}), capability="moonshine", by="hand"),
        *(ask(f"{room_}.{id}", about, flags, load(PRESET), step("generate_preprocess", {"exact": wanted}, x={"audio": audio, "text": ["", ""]}),
              capability="moonshine", by="hand") for id, about, flags, audio, wanted in rows),
        ask(f"{room_}.inputs#more-prompts", "Two recordings and three prompts.", "BadInput", load(PRESET),
            step("generate_preprocess", refused("value"), x={"audio": recorded([1000, 950]), "text": ["a", "b", "c"]}), capability="moonshine", by="hand"),
        ask(f"{room_}.values#stereo", "Two channels are not mono.", "BadInput", load(PRESET),
            step("generate", refused("value", "runtime"), inputs={"audio": recorded([1000, 950], channels=2), "text": ["", ""]}, max_length=4),
            capability="moonshine", by="hand"),
    ]  # fmt: skip


def saved() -> list[dict[str, Any]]:
    """Reading and writing folders."""
    inputs = batch([895], [2])
    policy = {"module": "keras", "class_name": "DTypePolicy", "config": {"name": "float32"}, "registered_name": None}
    again = {"same_as": {"step": 1, "keys": ["encoder_sequence_output", "decoder_sequence_output"]}}
    return [
        ask("presets.task.subclass#moonshine", "The class comes from the folder.", "Load", load(PRESET, {"exact": ["class"]}), capability="moonshine"),
        ask("presets.load.dtype#moonshine-dictionary", "A dtype is written as a word or as a policy.", "Load",
            load(PRESET, {"exact": ["class"]}, [{"change": "set", "file": "config.json", "keys": ["config", "dtype"], "value": policy}], preprocessor=None), capability="moonshine"),
        ask("presets.save.round-trip#moonshine", "Saved and loaded again: the same bits.", "Save", load(PRESET), step("states", None, inputs=inputs),
            step("save", {"saved_weights": {"path": "$scratch/saved", "preset": PRESET}}, path="$scratch/saved"), load("$scratch/saved"),
            step("states", again, inputs=inputs), capability="moonshine", by="hand"),
    ]  # fmt: skip
