"""A model that a test can look through: logits are a table of the last token and of a state in the cache."""

import numpy as np


class Toy:
    """`next` for samplers. The state follows the tokens, so a cache that is not reordered gives other logits."""

    def __init__(self, vocabulary=7, states=5, seed=0, scale=1.0, hidden=4):
        rng = np.random.default_rng(seed)
        self.logits = rng.normal(0, scale, (states, vocabulary, vocabulary)).astype(np.float32)
        self.states = rng.normal(0, 1, (states, vocabulary, hidden)).astype(np.float32)
        self.calls = 0

    def cache(self, rows):
        return (np.zeros((rows, 1), int), {"other": np.zeros((rows, 2, 3))})

    def next(self, prompt, cache, index):
        self.calls += 1
        state, last = cache[0][:, 0], prompt[:, index - 1]
        following = (3 * state + last + 1) % len(self.logits)
        return self.logits[state, last], self.states[state, last], (following[:, None], cache[1])

    def distributions(self, row, start):
        """The probabilities at every column from `start` on, given the tokens of one row."""
        state, found = 0, []
        for column in range(start, len(row)):
            last = row[column - 1]
            weights = np.exp(self.logits[state, last].astype(np.float64))
            found.append(weights / weights.sum())
            state = (3 * state + last + 1) % len(self.logits)
        return np.array(found)


def table(probabilities):
    """`next` that gives every row and column the same distribution."""
    logits = np.log(np.asarray(probabilities, np.float32))
    return lambda prompt, cache, index: (np.tile(logits, (len(prompt), 1)), None, cache)  # noqa: ARG005
