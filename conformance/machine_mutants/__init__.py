"""Mutants by machine: each changes one place of the definition's syntax; the cases that reach it must notice."""
