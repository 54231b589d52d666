"""Kernels: the Numba twins of decoding and samplers. They change how long an answer takes, and nothing else.

This package may be deleted. Importing it imports no Numba: `refimpl.kernels.eligibility` decides whether that pays.
"""
