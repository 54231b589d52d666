# ruff: noqa: E501  (tables read better unbroken)
"""`generate`: text in, text out. The scripted model makes every token certain, the random ones test the arithmetic."""

from typing import Any

from conformance.make.questions import ask, load, refused, step
from conformance.make.questions.batches import DROPOUT0, batch

TEN = {"encoder_sequence_length": 6, "decoder_sequence_length": 10}
TEXT = {"exact": ["text"]}


def script(id: str, about: str, flags: str, wanted: Any, **args: Any) -> dict[str, Any]:
    """A question to the scripted model. `wanted` is its text by hand, or None if KerasHub says it."""
    expect = TEXT if wanted is None else {"exact": {"text": wanted}}
    by = "keras_hub" if wanted is None else "hand"
    return ask(f"generate.{id}", about, flags, load("bart_scripted", **TEN), step("generate", expect, **args), by=by)


def questions() -> list[dict[str, Any]]:
    """All questions of the chapter."""
    return (
        inputs()
        + stops()
        + refusals()
        + lengths()
        + lengths_in_turn()
        + ragged()
        + without_preprocessor()
        + arithmetic()
    )


def spoken(*prompts: str) -> dict[str, Any]:
    """A dictionary input with these prompts."""
    return {"encoder_text": ["a"] * len(prompts), "decoder_text": list(prompts)}


def inputs() -> list[dict[str, Any]]:
    """Kinds of input, and the kind of output each gives."""
    text, dictionary = "input.text", "input.dictionary"
    return [
        script(f"{text}#one", "A text gives a text.", "InputKind", "abc", inputs="a"),
        script(f"{text}#list-of-one", "A list of one text gives a list.", "InputKind", ["abc"], inputs=["a"]),
        script(f"{text}#list", "Texts give texts in their order.", "InputKind", ["abc"] * 3, inputs=["a", "", "bcd"]),
        script(f"{dictionary}#texts", "Two bare texts give a bare text, prompt included.", "InputKind", "j",
               inputs={"encoder_text": "a", "decoder_text": "j"}),
        script(f"{dictionary}#lists", "Lists give a list.", "InputKind", ["j", "gh"], inputs=spoken("j", "g")),
        script(f"{dictionary}#list-beside-text", "A list beside a bare text counts as lists: a list comes back.",
               "InputKind", ["j"], inputs={"encoder_text": ["a"], "decoder_text": "j"}),
        script(f"{dictionary}#order-of-keys", "The order of the keys does not matter.", "InputKind", ["j"],
               inputs={"decoder_text": "j", "encoder_text": ["a"]}),
        script(f"{dictionary}#without-prompt", "A dictionary without decoder_text generates from the empty prompt.",
               "InputKind", ["abc"], inputs={"encoder_text": ["a"]}),
        ask("generate.input.unchanged#dictionary", "The caller's dictionary is left as it is.", "SideEffect",
            load("bart_scripted", **TEN),
            step("generate", {"exact": {"inputs": {"encoder_text": "a", "decoder_text": "j"}}},
                 inputs={"encoder_text": "a", "decoder_text": "j"}), by="hand"),
        script(f"{text}#many", "Nineteen texts of different lengths, each with its own prompt and answer.",
               "InputKind BatchMate Ragged", ["abc", "j", "gh", "kl", "defdefde", "no<mask>", "mabc"] * 2 + ["abc"] * 5,
               inputs={"encoder_text": ["a", "", "bcd", "efgh", "b"] * 3 + ["a"] * 4,
                       "decoder_text": ["", "j", "g", "k", "d", "n", "m"] * 2 + ["a", "ab", "abc", "", "a"]}),
        script("start-column#special-tokens-in-the-prompt", "Special tokens of a prompt are continued and are no text.",
               "SpecialToken StopInPrompt", ["abc", "ppppppp", "l"], inputs=spoken("<s>", "p</s>", "<pad>")),
        script("output.types#special-tokens-left-out", "Start, end and pad tokens that are generated are no text.",
               "SpecialToken", ["kl", "mabc", "no<mask>"], inputs=spoken("k", "m", "n")),
        script("start-column#prompt-continues", "A prompt is continued and is part of the text.", "Length",
               ["abc", "abc", "qrppppppp"], inputs=spoken("a", "ab", "qr")),
        ask("samplers.greedy.ties#lowest-id", "Of equally probable tokens the lowest id: h before i.", "Ties",
            load("bart_scripted", **TEN),
            step("generate", {"exact": {"text": ["gh"]}}, inputs=spoken("g")), by="hand"),
    ]  # fmt: skip


def stops() -> list[dict[str, Any]]:
    """When a row stops. The scripted model says a b c </s> p p p ...; </s> is 5, c is 4, b is 2."""
    rows: list[tuple[str, str, str, Any, Any, Any]] = [
        ("stop.auto#end-token", "The default stops at the tokenizer's end token.", "Stop", ["abc"], [""], "auto"),
        ("stop.in-prompt#start-is-end-token", "BART's prompt starts with </s>; only what is generated counts.",
         "StopInPrompt", ["abc", "j"], ["", "j"], "auto"),
        ("stop.in-prompt#stop-token-in-text", "A stop token in the prompt's text does not count.", "StopInPrompt",
         ["cabc"], ["ca"], [4]),
        ("stop.ids#one", "The stop token is part of the output; what comes after it is not.", "Stop", ["ab"], [""], [2]),
        ("stop.ids#several", "Each id is a stop token of its own: whichever comes first.", "Stop",
         ["abc", "de"], ["", "d"], [4, 8]),
        ("stop.ids#never-said", "A stop token that never comes: to the end.", "Stop", ["abcpppp"], [""], [16]),
        ("stop.ids#beyond-vocabulary", "An id that is no token never stops.", "Stop", ["abcpppp"], [""], [999]),
        ("stop.ids#zero", "The id 0 is a stop token like others: k is followed by <pad>, which is 0 here.", "Stop", ["k"],
         ["k"], [0]),
        ("stop.ids#start-token", "The start token, once generated, stops; in the prompt it does not count.", "Stop StopInPrompt",
         ["m"], ["m"], [3]),
        ("stop.ids#repeated", "The same id twice is one stop token.", "Stop", ["ab"], [""], [2, 2]),
        ("stop.ids#end-token-among-others", "The end token stops only if it is named.", "Stop", ["jpppppp", "no<mask>"], ["j", "n"],
         [6, 21]),
        ("stop.none#to-the-end", "None runs to max_length; the end token is left out of the text only.", "Stop",
         ["abcpppp", "defdefde"], ["", "d"], None),
        ("stop.mask#rows-stop-at-different-steps", "A row that has stopped says nothing while others go on.",
         "Stop BatchMate", ["j", "abc", "defdefde"], ["j", "", "d"], "auto"),
    ]  # fmt: skip
    return [
        script(id, about, flags, wanted, inputs=spoken(*prompts), stop_token_ids=ids)
        for id, about, flags, wanted, prompts, ids in rows
    ] + [
        script("stop.mask#stop-token-in-last-column", "A stop token in the last column.", "Stop Length", ["mabc"],
               inputs=spoken("m"), stop_token_ids=[4], max_length=7),
    ]  # fmt: skip


def refusals() -> list[dict[str, Any]]:
    """Stop tokens, samplers and inputs that can't be."""
    rows: list[tuple[str, str, tuple[str, ...], dict[str, Any]]] = [
        ("stop.types#number", "A bare number", ("value", "type"), {"inputs": "a", "stop_token_ids": 5}),
        ("stop.types#word", "A word other than auto", ("value", "type"), {"inputs": "a", "stop_token_ids": "end"}),
        ("stop.types#empty", "An empty tuple", ("value", "index", "runtime"), {"inputs": "a", "stop_token_ids": []}),
        ("input.types#number", "A number in place of a text", ("value", "type"), {"inputs": 3}),
        ("input.types#list-of-numbers", "Numbers in place of texts", ("value", "type"), {"inputs": [1, 2]}),
        ("max-length.type#negative", "A negative max_length", ("value",), {"inputs": "a", "max_length": -2}),
        ("max-length.type#fraction", "A max_length that is no whole number", ("value", "type"),
         {"inputs": "a", "max_length": 2.5}),
    ]  # fmt: skip
    return [
        ask(f"generate.{id}", f"{about} is refused.", "BadInput", load("bart_scripted", **TEN),
            step("generate", refused(*kinds), **args), by="hand")
        for id, about, kinds, args in rows
    ] + [
        ask("samplers.get#unknown-name", "An unknown sampler is refused.", "BadInput", load("bart_scripted", **TEN),
            step("generate", refused("value", "type"), inputs="a", sampler="gready"), by="hand"),
        ask("generate.max-length.beyond-positions#one-more", "More columns than positions is refused, not cut.",
            "BadInput Length", load("bart_scripted", **TEN),
            step("generate", refused("value", "type", "index", "runtime"), inputs="a", max_length=14,
                 stop_token_ids=None), by="hand"),
    ]  # fmt: skip


def lengths() -> list[dict[str, Any]]:
    """`max_length` counts decoder columns, the two start tokens and the prompt included."""
    rows: list[tuple[str, str, Any, Any, Any]] = [
        ("counts#start-tokens", "Two start tokens and three more.", "abc", "", 5),
        ("counts#one-new-token", "One column for a token.", "a", "", 3),
        ("counts#only-start-tokens", "No column is left: the empty text.", "", "", 2),
        ("counts#one-column", "Not even the frame fits: the empty text.", "", "", 1),
        ("counts#prompt-included", "The prompt counts.", "def", "de", 5),
        ("counts#prompt-fills-it", "The prompt fills all columns: it comes back as it is.", "def", "def", 5),
        ("counts#prompt-too-long", "A prompt that is too long is cut at its end.", "de", "def", 4),
        ("zero#default", "0 is the preprocessor's length.", "defdefde", "d", 0),
        ("default#preprocessors-length", "Without max_length the preprocessor's length.", "defdefde", "d", None),
        ("counts#all-positions", "As long as the position table.", "defdefdefde", "d", 13),
    ]
    return [
        script(f"max-length.{id}", about, "Length", [wanted], inputs=spoken(prompt), max_length=length)
        for id, about, wanted, prompt, length in rows
    ]


def lengths_in_turn() -> list[dict[str, Any]]:
    """One model, several calls: nothing of an earlier length or stop token stays."""
    calls = [("defde", 7, None), ("defdefde", None, None), ("d", 3, None), ("de", 10, [8]), ("defdefde", 0, "auto")]
    steps = [
        step("generate", {"exact": {"text": [wanted]}}, inputs=spoken("d"), max_length=length, stop_token_ids=stops)
        for wanted, length, stops in calls
    ]
    return [
        ask("generate.max-length.counts#in-turn", "Five calls of one model with other lengths and stop tokens.",
            "Length Stop SideEffect", load("bart_scripted", **TEN), *steps, by="hand"),
    ]  # fmt: skip


def ragged() -> list[dict[str, Any]]:
    """Prompts of different lengths in one batch."""
    return [
        script("ragged-prompts#kept", "Each prompt is kept, each row goes on from its own end.", "Ragged",
               ["abc", "defdefde", "gh", "abc"], inputs=spoken("", "defd", "g", "abc")),
        script("ragged-prompts#prompt-against-the-script", "What the model would have said does not replace a prompt.",
               "Ragged", ["abc", "ddddefde"], inputs=spoken("", "dddd")),
        ask("generate.ragged-prompts#arithmetic", "Ragged prompts and sources, random weights.", "Ragged Cache",
            load("bart_dropout0", preprocessor=None),
            step("generate", {"generation": None}, inputs=DROPOUT0, stop_token_ids=None), capability="core"),
        ask("generate.ragged-prompts#two-layers", "Prompts of nine, two and five tokens, sources of three, eleven and six.",
            "Ragged Cache", load("bart_tiny", preprocessor=None),
            step("generate", {"generation": None}, inputs=batch("bart_tiny", [(3, 9), (11, 2), (6, 5)], 11, 15),
                 stop_token_ids=None), capability="core"),
        ask("generate.greedy.argmax#in-turn", "Three batches of one shape one after the other: each gets its own answer.",
            "Cache SideEffect", load("bart_tiny", preprocessor=None),
            *(step("generate", {"generation": None}, inputs=batch("bart_tiny", rows, 9, 10), stop_token_ids=None)
              for rows in ([(9, 2), (4, 2)], [(7, 2), (9, 2)], [(9, 2), (4, 2)]))),
    ]  # fmt: skip


def without_preprocessor() -> list[dict[str, Any]]:
    """Token dictionaries in and out."""
    bare = load("bart_scripted", preprocessor=None)
    ids = {
        "encoder_token_ids": [[3, 5], [3, 5]], "encoder_padding_mask": [[True, True]] * 2,
        "decoder_token_ids": [[5, 3, 0, 0, 0, 0, 0, 0], [5, 3, 7, 8, 0, 0, 0, 0]],
        "decoder_padding_mask": [[True] * 2 + [False] * 6, [True] * 4 + [False] * 4],
    }  # fmt: skip
    stopped = {"decoder_token_ids": [[5, 3, 1, 2, 4, 5, None, None], [5, 3, 7, 8, 9, 7, 8, 9]],
               "decoder_padding_mask": [[True] * 6 + [False] * 2, [True] * 8]}  # fmt: skip
    numbers = ids | {key: [[int(i) for i in row] for row in ids[key]] for key in ids if key.endswith("mask")}
    return [
        ask("generate.stop.auto#no-preprocessor", "auto needs a tokenizer: without preprocessor it is refused.",
            "BadInput Stop", bare, step("generate", refused("value", mentions=("preprocessor",)), inputs=ids), by="hand"),
        ask("generate.output.types#token-dictionary", "Ids and mask come back; the mask ends after the stop token.",
            "Stop InputKind", bare, step("generate", {"exact": stopped}, inputs=ids, stop_token_ids=[5]), by="hand"),
        ask("generate.output.types#masks-as-numbers", "Masks of 0 and 1 are masks.", "InputKind", bare,
            step("generate", {"exact": stopped}, inputs=numbers, stop_token_ids=[5]), by="hand"),
        ask("generate.max-length.no-preprocessor#ignored", "Without preprocessor the array's width decides.",
            "Length", bare, step("generate", {"exact": stopped}, inputs=ids, stop_token_ids=[5], max_length=3),
            by="hand"),
    ]  # fmt: skip


def arithmetic() -> list[dict[str, Any]]:
    """Greedy generation over random weights, checked tie-aware."""
    open_end = batch("bart_tiny", [(11, 2), (6, 2), (3, 2)], 11, 13)
    open_end["decoder_token_ids"] = [[2, 0, *row[2:]] for row in open_end["decoder_token_ids"]]
    more = {k: [r + [1 if k.endswith("ids") else False] * 6 for r in v] if k.startswith("e") else v
            for k, v in open_end.items()}  # fmt: skip
    return [
        ask("generate.greedy.argmax#two-layers", "Every token is the argmax of the whole pass.", "Cache Arithmetic",
            load("bart_tiny", preprocessor=None), step("generate", {"generation": None}, inputs=open_end,
                                                       stop_token_ids=None)),
        ask("generate.padding-inert#longer-encoder", "Six more columns of encoder padding: the same tokens.", "Padding",
            load("bart_tiny", preprocessor=None), step("generate", {"generation": None}, inputs=more,
                                                       stop_token_ids=None)),
        ask("generate.padding-inert#texts", "Texts of different lengths, random weights, through the preprocessor.",
            "Padding Cache", load("bart_dropout0", encoder_sequence_length=19, decoder_sequence_length=9),
            step("generate", TEXT, inputs=["the in", "x", "an the re 12"], stop_token_ids=None)),
    ]  # fmt: skip
