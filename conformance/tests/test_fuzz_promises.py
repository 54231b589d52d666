"""What the fuzzer holds two implementations to, and what it leaves open."""

from conformance.fuzz.promised import comparable, near_tie_of_beams, promised, read_alike

TABLE = [[0.0, 1.0, 3.0], [2.0, 0.0, -1.0], [0.5, 4.0, 1.0]]
ALL, ENGINE = {"core", "probe", "jax-random"}, {"engine", "probe"}


def sample(name, table=TABLE, stops=None, **config):
    sampler = {"class_name": f"keras_hub>{name}Sampler", "config": config}
    return {"op": "sample", "args": {"sampler": sampler, "logits": table, "prompt": [[0, 2, 2]], "index": 1,
                                     "mask": [[True, False, False]], "stop_token_ids": stops}}  # fmt: skip


def generate(mask, name="Beam", stops=None):
    inputs = {"encoder_token_ids": [[5] * len(mask)], "encoder_padding_mask": [mask]}
    sampler = {"class_name": f"keras_hub>{name}Sampler", "config": {}}
    return {"op": "generate", "args": {"inputs": inputs, "sampler": sampler, "stop_token_ids": stops}}


def test_drawn_tokens_are_compared_where_both_draw_jax_numbers():
    assert comparable(sample("TopK"), [ALL, ALL])
    assert not comparable(sample("TopK"), [ALL, {"core", "probe"}])
    assert comparable(sample("Greedy"), [ALL, {"core", "probe"}])


def test_engines_are_not_asked_about_what_they_leave_open():
    for call in (
        sample("Beam", stops=[1]),
        generate([True, False, True]),
        generate([False]),
        generate([True], stops=[2]),
    ):
        assert comparable(call, [ALL, ALL])
        assert not comparable(call, [ALL, ENGINE])
    assert comparable(generate([True, True, False]), [ALL, ENGINE])
    assert comparable(
        {"op": "logits", "args": {"inputs": generate([True, False, True])["args"]["inputs"]}}, [ALL, ENGINE]
    )


def test_engines_are_not_asked_for_pieces_that_they_make_otherwise():
    def asked(args, rotate=0, theirs=ENGINE, op="tokenize", architecture="t5"):
        return read_alike({"op": op, "args": args}, {"architecture": architecture, "rotate": rotate}, [ALL, theirs])

    for args, op in (
        ({"text": ["a </s>"]}, "tokenize"),
        ({"inputs": ["<pad>"]}, "generate"),
        ({"ids": [[5], [1, 7]]}, "detokenize"),
        ({"x": {"encoder_text": ["a"], "decoder_text": ["<s>"]}}, "preprocess"),
    ):
        assert not asked(args, op=op)
        assert asked(args, op=op, theirs=ALL)
        assert asked(args, op=op, architecture="bart")
    assert asked({"text": ["a"]})
    assert not asked({"text": ["a"]}, rotate=1)  # its pieces are merged (BPE)
    assert asked({"ids": [[5]]}, op="detokenize")
    assert asked({"inputs": {"decoder_token_ids": [[0]]}}, rotate=1, op="logits")


def test_of_t5gemma_is_asked_what_keras_hub_can_do():
    theirs, ours = ALL | {"keras_hub"}, ALL | {"refimpl"}
    for call in (generate([True]), generate([True], "Contrastive"), {"op": "cached_logits", "args": {"inputs": {}}}):
        assert comparable(call, [ours, theirs], "bart")
        assert comparable(call, [ours, ours], "t5gemma")
        assert not comparable(call, [ours, theirs], "t5gemma")
    assert comparable(generate([True], "TopK"), [ours, theirs], "t5gemma")
    assert not comparable({"op": "generate", "args": {"inputs": ["a", " "]}}, [ours, ours], "t5gemma")


def test_sampled_rows_end_with_their_stop_token():
    call = sample("Greedy", stops=[2])
    assert promised(call, {"ids": [[[0, 2, 0]]]}) == promised(call, {"ids": [[[0, 2]]]}) == {"ids": [[[0, 2]]]}
    assert promised(sample("Greedy"), {"ids": [[[0, 2, 0]]]}) == {"ids": [[[0, 2, 0]]]}


def test_beams_may_choose_at_a_tie_only():
    tied = [[0.0, 1.0, 1.0], [2.0, 0.0, -1.0], [2.0, 0.0, -1.0]]
    one, other, wrong = ({"ids": [[row]]} for row in ([0, 1, 0], [0, 2, 0], [0, 0, 1]))
    assert near_tie_of_beams(sample("Beam", tied, num_beams=2), one, other)
    assert not near_tie_of_beams(sample("Beam", tied, num_beams=2), one, wrong)
    assert not near_tie_of_beams(sample("Beam", num_beams=2), {"ids": [[[0, 2, 1]]]}, one)
