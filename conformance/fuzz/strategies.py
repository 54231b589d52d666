"""What can be drawn, as Hypothesis strategies: a model and one call, both plain JSON values. Smaller values come first,
so that shrinking ends at the smallest model and the shortest call that still differ.
"""

from typing import Any

from hypothesis import strategies as st

from conformance.fuzz.options import ARCHITECTURES, CALLS

# Never 1, with which prompts are filled up: KerasHub takes it for said then (samplers.loop.stop#fill-value).
STOPS = st.sampled_from([None, [2], [5, 9], [0, 2, 3, 4, 5, 6, 7]])
# Pairs are merged in this order; each next word needs what stands before it.
PAIRS = "Ġ t,h e,Ġt he,i n,a n,Ġ a,r e,Ã ©,1 2,e e,o n,Ġa n,in g,Ġ Ġ,' s"
MERGES = [pair.split() for pair in PAIRS.split(",")]
SEEDS, PS = st.integers(0, 2**31 - 1), st.sampled_from([0.9, 0.5, 0.05, 0.99])
TEXTS = ["", " ", "the", " the in", "an", "e", "12 3", "naïve café", "東京", "it's", "  two", "a\n\nb\t", "<s>",
         "</s>x", "<pad>", "ing there", "\U0001f600", "e\u0301", "\u00a0x", "A1b2-!?"]  # fmt: skip


@st.composite
def models(draw: st.DrawFn, architecture: str = "bart") -> dict[str, Any]:
    """Sizes, vocabulary and weights of a small model."""
    scale = st.sampled_from([0.5, 0.1, 1.0, 2.0, 8.0])
    scales = {
        "gamma": [draw(st.sampled_from([0.5, 0.0, 1.25, 4.0])), draw(st.sampled_from([1.0, 1.5, 0.0, -1.0, 20.0]))],
        "beta": [draw(scale), draw(st.sampled_from([0.0, 0.125, 3.0]))],
        "bias": [draw(scale), draw(st.sampled_from([0.0, 0.125, 3.0]))],
        "kernel": [draw(scale), 0.0],
        "table": [draw(scale), draw(st.sampled_from([0.0, 1.0]))],
        "position": [draw(scale), 0.0],
        "score": [draw(scale), 0.0],
        "relative": [draw(scale), 0.0],
    }
    return {
        "architecture": architecture,
        "sizes": draw(_SIZES[architecture]()),
        "merges": MERGES[: draw(st.integers(1, len(MERGES)))],  # KerasHub loads no tokenizer without merges
        "rotate": draw(st.sampled_from([0, 7, 255])),
        "spare_ids": draw(st.integers(0, 5)),
        "weights": {
            "seed": draw(st.integers(0, 1000)),
            "scales": scales,
            "flat_rows": draw(st.lists(st.integers(0, 30), max_size=2, unique=True)),
            "equal_rows": draw(st.one_of(st.none(), st.tuples(st.integers(0, 40), st.integers(0, 40)).map(list))),
        },
    }


DROPOUTS = st.sampled_from([0.0, 0.1])
EPSILONS = st.sampled_from([1e-6, 1e-5, 1e-3])


@st.composite
def bart_sizes(draw: st.DrawFn) -> dict[str, Any]:
    """A width that heads divide."""
    heads, width = draw(st.integers(1, 4)), draw(st.integers(1, 8))
    return {
        "num_layers": draw(st.integers(1, 3)),
        "num_heads": heads,
        "hidden_dim": heads * max(width, 2),
        "intermediate_dim": draw(st.integers(1, 24)),
        "dropout": draw(DROPOUTS),
        "max_sequence_length": draw(st.integers(12, 24)),
    }


def t5_sizes() -> st.SearchStrategy[dict[str, Any]]:
    """Heads of any width, with and without gate and a head of its own."""
    return st.fixed_dictionaries(
        {
            "num_layers": st.integers(1, 3),
            "num_heads": st.integers(1, 4),
            "hidden_dim": st.integers(2, 24),
            "intermediate_dim": st.integers(1, 24),
            "key_value_dim": st.integers(1, 8),
            "dropout": DROPOUTS,
            "activation": st.sampled_from(["relu", "gelu"]),
            "use_gated_activation": st.booleans(),
            "tie_embedding_weights": st.booleans(),
            "layer_norm_epsilon": EPSILONS,
        }
    )


@st.composite
def t5gemma_sizes(draw: st.DrawFn) -> dict[str, Any]:
    """Two sides that differ. A window is longer than any sequence here, as KerasHub's is another one."""
    found: dict[str, Any] = {}
    for side in ("encoder", "decoder"):
        layers, shared = draw(st.integers(1, 3)), draw(st.integers(1, 3))
        kinds = st.sampled_from(["full_attention", "sliding_attention"])
        found |= {
            f"{side}_hidden_dim": draw(st.integers(2, 24)),
            f"{side}_intermediate_dim": draw(st.integers(1, 24)),
            f"{side}_num_layers": layers,
            f"{side}_num_attention_heads": shared * draw(st.integers(1, 3)),
            f"{side}_num_key_value_heads": shared,
            f"{side}_head_dim": 2 * draw(st.integers(1, 4)),
            f"{side}_layer_types": draw(st.lists(kinds, min_size=layers, max_size=layers)),
        }
    cap = st.sampled_from([None, 5.0, 30.0])
    return found | {
        "dropout_rate": draw(DROPOUTS),
        "rms_norm_eps": draw(EPSILONS),
        "query_pre_attn_scalar": draw(st.sampled_from([1.0, 7.0, 256.0])),
        "attention_bias": draw(st.booleans()),
        "hidden_activation": draw(st.sampled_from(["gelu_approximate", "gelu", "relu", "silu"])),
        "tie_word_embeddings": draw(st.booleans()),
        "sliding_window": draw(st.integers(16, 40)),
        "cross_attention_hidden_size": found["encoder_hidden_dim"],
        "attn_logit_softcapping": draw(cap),
        "final_logit_softcapping": draw(cap),
        "rope_max_wavelength": draw(st.sampled_from([10000.0, 500.0, 2.0])),
    }


_SIZES: dict[str, Any] = {"bart": bart_sizes, "t5": t5_sizes, "t5gemma": t5gemma_sizes}


@st.composite
def batches(draw: st.DrawFn, full: bool = False) -> dict[str, Any]:
    """Ids and masks of a few rows: ragged, with words under the padding, perhaps with a hole."""
    rows, source, spoken = draw(st.integers(1, 3)), draw(st.integers(1, 9)), draw(st.integers(1, 9))
    found: dict[str, Any] = {}
    for side, columns in (("encoder", source), ("decoder", spoken)):
        ids = st.lists(st.integers(0, 255), min_size=columns, max_size=columns)
        found[f"{side}_token_ids"] = draw(st.lists(ids, min_size=rows, max_size=rows))
        lengths = [columns if full and side == "decoder" else draw(st.integers(1, columns)) for _ in range(rows)]
        masks = [[i < length for i in range(columns)] for length in lengths]
        if side == "encoder" and lengths[0] > 1 and draw(st.booleans()):  # a source of nothing is the cases' affair
            masks[0][draw(st.integers(0, columns - 1))] = False
        found[f"{side}_padding_mask"] = masks
    return found


@st.composite
def prompts(draw: st.DrawFn, equal: bool = False) -> dict[str, Any]:
    """A batch whose decoder side has room to speak."""
    found = draw(batches())
    width = draw(st.integers(2, 10))
    rows = len(found["encoder_token_ids"])
    one = draw(st.integers(1, width))
    lengths = [one if equal else draw(st.integers(1, width)) for _ in range(rows)]
    ids = [[draw(st.integers(0, 255)) if i < n else 1 for i in range(width)] for n in lengths]
    return found | {"decoder_token_ids": ids, "decoder_padding_mask": [[i < n for i in range(width)] for n in lengths]}


def calls(among: tuple[str, ...] = CALLS) -> st.SearchStrategy[dict[str, Any]]:
    """One operation with its arguments, and what `load` is told before it."""
    return st.sampled_from(among).flatmap(lambda kind: _KINDS.get(kind, passes)(kind))


@st.composite
def passes(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """A forward pass."""
    if kind != "cached_logits":
        return _call(kind, {}, inputs=draw(batches()))
    inputs = draw(batches(full=True))
    left, chunks = len(inputs["decoder_token_ids"][0]), []
    while left:
        chunks.append(draw(st.integers(1, left)))
        left -= chunks[-1]
    return _call(kind, {}, inputs=inputs, chunks=chunks)


@st.composite
def generations(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """Generation from ids: greedy, drawn from a seed, or a search without stop tokens."""
    if kind == "generate":
        return _call("generate", {"preprocessor": None}, inputs=draw(prompts()), stop_token_ids=draw(STOPS))
    if kind == "drawn":
        chosen = st.sampled_from([("Random", {}), ("TopK", {"k": draw(st.integers(1, 9))}), ("TopP", {"p": draw(PS)})])
        name, config = draw(chosen)
        drawing = {"class_name": f"keras_hub>{name}Sampler", "config": config | {"seed": draw(SEEDS)}}
        given = {"inputs": draw(prompts()), "sampler": drawing, "stop_token_ids": draw(STOPS)}
        return _call("generate", {"preprocessor": None}, **given)
    beam = {"class_name": "keras_hub>BeamSampler", "config": {"num_beams": draw(st.integers(1, 4))}}
    contrast = {"k": draw(st.integers(1, 4)), "alpha": draw(st.sampled_from([0.6, 0.0, 1.0]))}
    unlike = {"class_name": "keras_hub>ContrastiveSampler", "config": contrast}
    given = {"inputs": draw(prompts(equal=True)), "sampler": draw(st.sampled_from([beam, unlike]))}
    return _call("generate", {"preprocessor": None}, stop_token_ids=None, **given)


@st.composite
def texts(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """What takes or gives text."""
    lengths = {f"{side}_sequence_length": draw(st.integers(4, 10)) for side in ("encoder", "decoder")}
    if kind == "detokenize":
        return _call(kind, {}, ids=draw(st.lists(st.lists(st.integers(0, 259), max_size=6), min_size=1, max_size=2)))
    given = draw(st.lists(st.lists(st.sampled_from(TEXTS), max_size=3).map("".join), min_size=1, max_size=3))
    if kind == "tokenize":
        return _call(kind, {}, text=given)
    if kind == "text":
        return _call("generate", lengths, inputs=given, stop_token_ids=draw(STOPS))
    spoken = [draw(st.sampled_from(TEXTS)) for _ in given]
    return _call(kind, lengths, x={"encoder_text": given, "decoder_text": spoken})


@st.composite
def samples(draw: st.DrawFn, kind: str) -> dict[str, Any]:
    """A sampler alone on a table of scores."""
    size, width, seed = draw(st.integers(3, 9)), draw(st.integers(2, 7)), draw(SEEDS)
    score = st.integers(-64, 64).map(lambda n: n * 0.09375 + n**3 * 1.7e-5)  # no two sums alike
    chosen = draw(
        st.sampled_from(
            [("Greedy", {}), ("TopK", {"k": draw(st.integers(1, size)), "seed": seed}),
             ("TopP", {"p": draw(PS), "seed": seed}), ("Random", {"seed": seed}),
             ("Beam", {"num_beams": draw(st.integers(1, 4))})]
        )
    )  # fmt: skip
    rows = draw(st.integers(1, 3))
    return _call(
        kind,
        {},
        sampler={"class_name": f"keras_hub>{chosen[0]}Sampler", "config": chosen[1]},
        logits=draw(st.lists(st.lists(score, min_size=size, max_size=size, unique=True), min_size=size, max_size=size)),
        prompt=[[draw(st.integers(0, size - 1))] + [size - 1] * (width - 1) for _ in range(rows)],
        mask=[[True] + [False] * (width - 1)] * rows,
        index=1,
        stop_token_ids=draw(st.sampled_from([None, [0], [1, 0]])),
    )


_KINDS = {"generate": generations, "search": generations, "drawn": generations, "sample": samples} | dict.fromkeys(
    ("text", "tokenize", "detokenize", "preprocess", "generate_preprocess"), texts
)


def _call(op: str, load: dict[str, Any], **args: Any) -> dict[str, Any]:
    return {"op": op, "load": load, "args": args}


def drawn_questions(
    among: tuple[str, ...] = CALLS, architectures: tuple[str, ...] = ARCHITECTURES
) -> st.SearchStrategy[dict[str, Any]]:
    """A model, calls to it, and which of the two, if any, saves the model again for the other."""
    drawn = {"model": st.sampled_from(architectures).flatmap(models)}
    drawn |= {"calls": st.lists(calls(among), min_size=1, max_size=16), "saved_by": st.sampled_from(["", "a", "b"])}
    return st.fixed_dictionaries(drawn)
