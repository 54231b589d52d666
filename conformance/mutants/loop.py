"""Mutants of decoding and generation."""

from conformance.mutants import Mutant

MUTANTS: list[Mutant] = []
