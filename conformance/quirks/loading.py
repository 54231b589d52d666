# ruff: noqa: ARG001, ARG005
"""Quirks of presets."""

from typing import Any

from conformance.quirks import Quirk

BACKBONE, HDF5, SAVING = "refimpl.models.backbone", "refimpl.presets.hdf5", "refimpl.presets.saving"
KNOWN = {"dtype", "name", "trainable", "weights_from"}


def _swallows(right: Any) -> Any:
    def init(self: Any, *sizes: Any, **config: Any) -> None:
        known = KNOWN | set(self.config_cls.names())
        right(self, *sizes, **{key: value for key, value in config.items() if key in known})

    return init


def _reads_little(right: Any) -> Any:
    """Five sizes of a checkpoint of transformers are read, under the names of transformers 4, and nothing else."""

    def backbone_config(self: Any, config: dict[str, Any], file: str) -> Any:
        if self.model_type != "bart":
            return right(self, config, file)
        if "num_hidden_layers" not in config:
            raise KeyError("num_hidden_layers")
        depth = {f"{side}_layers": config["num_hidden_layers"] for side in ("encoder", "decoder")}
        unread = ("scale_embedding", "activation_function")
        return right(self, {key: value for key, value in config.items() if key not in unread} | depth, file)

    return backbone_config


def _leaves_weights(right: Any) -> Any:
    """A file of weights that the new preset does not write stays where it was."""
    return lambda *a: [name for name in right(*a) if name != "model.weights.h5"]


def quirks(backend: str) -> list[Quirk]:
    """Quirks of loading and saving."""
    return [
        Quirk("unknown-keys-swallowed", ((BACKBONE, "Backbone.__init__", _swallows),)),
        Quirk("extra-weights-unread", ((HDF5, "Hdf5Weights._refuse_extras", lambda right: lambda *a: None),)),
        Quirk("transformers-bart-settings", (("refimpl.presets.families", "Family.backbone_config", _reads_little),)),
        Quirk("stale-weights-beside-shards", ((SAVING, "_stale", _leaves_weights),)),
    ]
