"""Random numbers: seeds and draws that repeat KerasHub on JAX bit for bit, and normal numbers for fresh weights."""

from refimpl.random.draws import categorical, gumbel, uniform
from refimpl.random.fresh_weights import draw_seed, random_normal, set_random_seed, truncated_normal
from refimpl.random.seed_generator import SeedGenerator
from refimpl.random.threefry import random_bits, threefry2x32

__all__ = [
    "SeedGenerator",
    "categorical",
    "draw_seed",
    "gumbel",
    "random_bits",
    "random_normal",
    "set_random_seed",
    "threefry2x32",
    "truncated_normal",
    "uniform",
]
