"""Mutants of text, packing and presets."""

from conformance.mutants import Mutant

MUTANTS: list[Mutant] = []
