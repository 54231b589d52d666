"""The presets that have a name of their own.

Source: keras-hub 0.32.0 models/bart/bart_presets.py (names, handles, parameter counts)
"""

from typing import Any

_DATA = "BookCorpus, English Wikipedia and CommonCrawl"


def _bart(name: str, params: int, description: str) -> dict[str, Any]:
    metadata = {"description": description, "params": params, "path": "bart"}
    return {"metadata": metadata, "kaggle_handle": f"kaggle://keras/bart/keras/{name}/3"}


# By backbone, then by name. KerasHub's table gives `bart_large_en_cnn` the count of `bart_large_en`, which has one
# token more; the count here is that of its shapes.
BUILTIN: dict[str, dict[str, dict[str, Any]]] = {
    "BartBackbone": {
        "bart_base_en": _bart("bart_base_en", 139417344, f"Cased BART of 6 layers, trained on {_DATA}."),
        "bart_large_en": _bart("bart_large_en", 406287360, f"Cased BART of 12 layers, trained on {_DATA}."),
        "bart_large_en_cnn": _bart(
            "bart_large_en_cnn", 406286336, "bart_large_en, fine-tuned to summarize the news of CNN and Daily Mail."
        ),
    }
}


def handle_of(name: str) -> str | None:
    """The Kaggle handle of a built-in preset.

    Spec: presets.identifier.builtin
    """
    return next((table[name]["kaggle_handle"] for table in BUILTIN.values() if name in table), None)
