"""The source of a batch: what each decoder layer attends to, without gaps between tokens or rows.

Spec: kernels.encode, generate.padding-inert
"""

from typing import Any

import numpy as np

from refimpl.kernels import places
from refimpl.kernels.architecture import Architecture
from refimpl.kernels.entries import decode
from refimpl.kernels.memory import Addresses, Scratch, aligned, integers
from refimpl.kernels.team import Team
from refimpl.kernels.twin import replaced


class Source:
    """Keys and values of all tokens of all rows (L, 2, N, H D), and which of the N lines are whose.

    Shapes: starts, counts (B).
    """

    def __init__(
        self, architecture: Architecture, model: Any, weights: Addresses, team: Team, ids: np.ndarray, mask: np.ndarray
    ) -> None:
        backbone = model.backbone
        rows, columns = np.nonzero(mask)
        self.counts = mask.sum(axis=1)
        self.starts = np.cumsum(self.counts) - self.counts
        line = backbone.num_heads * backbone.head_dim
        self.lines = aligned(backbone.num_layers, 2, len(rows), line)
        scratch = Scratch(architecture, backbone, len(rows))
        scratch.make_room(team.most, int(self.counts.max()))
        scratch.set(places.OTHER, self.lines)
        if architecture.relative:
            last = ids.shape[1] - 1
            scratch.set_bias(backbone.position_bias(backbone.scope, "encoder", 1, 2 * last + 1, last), last)
        tokens = ids[rows, columns]
        if replaced(model, ("call_encoder",)) or replaced(backbone, ("encode", "encode_source", "encoder_layer")):
            scratch.states[:] = model.call_encoder(token_ids=ids, padding_mask=mask)[rows, columns]
            tokens = tokens[:0]
        elif len(columns):
            backbone.check_length("encoder", int(columns.max()) + 1)
        work = backbone.num_layers * backbone.hidden_dim * (6 * line + 2 * backbone.intermediate_dim) * len(rows)
        team.run(
            decode, work, scratch.sizes, weights.encoder, weights.encoder_layers, scratch.buffers, integers(tokens),
            integers(columns), weights.decoder_layers, integers(self.starts[rows]), integers(self.counts[rows]),
            np.zeros((1, max(1, int(self.counts.max()))), np.int64), places.ENCODING, *places.NOTHING,
        )  # fmt: skip
