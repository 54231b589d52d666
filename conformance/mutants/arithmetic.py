"""Mutants of the forward pass."""

from conformance.mutants import Mutant

MUTANTS: list[Mutant] = []
