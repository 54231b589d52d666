"""The presets that have a name of their own.

Source: keras-hub 0.32.0 models/bart/bart_presets.py (names, handles, parameter counts)
"""

import itertools
from typing import Any

_DATA = "BookCorpus, English Wikipedia and CommonCrawl"


def _bart(name: str, params: int, description: str) -> dict[str, Any]:
    metadata = {"description": description, "params": params, "path": "bart"}
    return {"metadata": metadata, "kaggle_handle": f"kaggle://keras/bart/keras/{name}/3"}


def _t5(name: str, params: int, version: int, description: str) -> dict[str, Any]:
    metadata = {"description": description, "params": params, "path": "t5"}
    return {"metadata": metadata, "kaggle_handle": f"kaggle://keras/t5/keras/{name}/{version}"}


def _t5gemma() -> dict[str, dict[str, Any]]:
    """Eight pairs of sizes, each trained in two ways, as it is and tuned to follow instructions."""
    sizes = {
        "s_s": 312517632, "b_b": 591490560, "l_l": 1241761792, "ml_ml": 2200345344, "xl_xl": 3766980608,
        "2b_2b": 5596853760, "9b_2b": 12292375296, "9b_9b": 20333401088,
    }  # fmt: skip
    ways = {"ul2": "the tasks of UL2", "prefixlm": "continuing a prefix"}
    tunings = {"": "", "_it": ", then on following instructions"}
    found = {}
    for (size, params), (way, told), (tuned, more) in itertools.product(sizes.items(), ways.items(), tunings.items()):
        name = f"t5gemma_{size}_{way}{tuned}"
        encoder, decoder = size.upper().split("_")
        about = f"T5Gemma with an encoder of size {encoder} and a decoder of size {decoder}, trained on {told}{more}."
        metadata = {"description": about, "params": params, "path": "t5gemma"}
        found[name] = {"metadata": metadata, "kaggle_handle": f"kaggle://keras/t5-gemma/keras/{name}/1"}
    return found


def _moonshine(name: str, params: int, layers: str) -> dict[str, Any]:
    about = f"Moonshine of {layers} layers, which writes down English speech."
    metadata = {"description": about, "params": params, "path": "moonshine"}
    return {"metadata": metadata, "kaggle_handle": f"kaggle://keras/moonshine/Keras/{name}/1"}


_C4 = "the Colossal Clean Crawled Corpus (C4)"
_MIXTURE = f"trained on {_C4} and on the tasks of its paper"
_GATED = f"with gates and a head of its own, trained on {_C4} alone"
_FLAN = "T5 1.1, tuned to follow instructions"

# By backbone, then by name. KerasHub's table gives `bart_large_en_cnn` the count of `bart_large_en`, which has one
# token more; the count here is that of its shapes.
BUILTIN: dict[str, dict[str, dict[str, Any]]] = {
    "BartBackbone": {
        "bart_base_en": _bart("bart_base_en", 139417344, f"Cased BART of 6 layers, trained on {_DATA}."),
        "bart_large_en": _bart("bart_large_en", 406287360, f"Cased BART of 12 layers, trained on {_DATA}."),
        "bart_large_en_cnn": _bart(
            "bart_large_en_cnn", 406286336, "bart_large_en, fine-tuned to summarize the news of CNN and Daily Mail."
        ),
    },
    # KerasHub's table counts `t5_1.1_small` and `t5_1.1_large` without their heads; the counts here have them.
    "T5Backbone": {
        "t5_small_multi": _t5("t5_small_multi", 60506624, 3, f"T5 of 6 layers, {_MIXTURE}."),
        "t5_base_multi": _t5("t5_base_multi", 222903552, 3, f"T5 of 12 layers, {_MIXTURE}."),
        "t5_large_multi": _t5("t5_large_multi", 737668096, 3, f"T5 of 24 layers, {_MIXTURE}."),
        "t5_1.1_small": _t5("t5_1.1_small", 76961152, 2, f"T5 1.1 of 8 layers, {_GATED}."),
        "t5_1.1_base": _t5("t5_1.1_base", 247577856, 2, f"T5 1.1 of 12 layers, {_GATED}."),
        "t5_1.1_large": _t5("t5_1.1_large", 783150080, 2, f"T5 1.1 of 24 layers, {_GATED}."),
        "t5_1.1_xl": _t5("t5_1.1_xl", 2849757184, 2, f"T5 1.1 of 24 layers, {_GATED}."),
        "t5_1.1_xxl": _t5("t5_1.1_xxl", 11135332352, 2, f"T5 1.1 of 24 layers, {_GATED}."),
        "flan_small_multi": _t5("flan_small_multi", 76961152, 3, f"{_FLAN}: 8 layers."),
        "flan_base_multi": _t5("flan_base_multi", 247577856, 3, f"{_FLAN}: 12 layers."),
        "flan_large_multi": _t5("flan_large_multi", 783150080, 3, f"{_FLAN}: 24 layers."),
    },
    "T5GemmaBackbone": _t5gemma(),
    "MoonshineBackbone": {
        "moonshine_tiny_en": _moonshine("moonshine_tiny_en", 27092736, "6"),
        "moonshine_base_en": _moonshine("moonshine_base_en", 61513920, "8"),
    },
}


def handle_of(name: str) -> str | None:
    """The Kaggle handle of a built-in preset.

    Spec: presets.identifier.builtin
    """
    return next((table[name]["kaggle_handle"] for table in BUILTIN.values() if name in table), None)
