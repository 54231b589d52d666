"""The architectures that transformers has too: each module says how its configuration and tensors read there."""

from types import ModuleType

from refimpl.presets import bart_transformers, t5_transformers

# By transformers' `model_type`.
FAMILIES: dict[str, ModuleType] = {"bart": bart_transformers, "t5": t5_transformers}


def family_of(backbone: str) -> ModuleType | None:
    """The module of a backbone's class name, if transformers has the architecture."""
    return next((family for family in FAMILIES.values() if backbone == family.BACKBONE), None)
