"""A model for `transformers` whose logits are a table: row t is what follows token t. It tests generation alone."""

from typing import Any

import torch
from transformers import GenerationMixin, PretrainedConfig, PreTrainedModel
from transformers.modeling_outputs import CausalLMOutput


class TableConfig(PretrainedConfig):  # type: ignore[misc]
    """As little as `generate` asks for."""

    model_type = "conformance-table"


class TableModel(PreTrainedModel, GenerationMixin):  # type: ignore[misc]
    """No weights to learn, no cache to keep."""

    config_class = TableConfig
    main_input_name = "input_ids"

    def __init__(self, table: Any) -> None:
        super().__init__(TableConfig(vocab_size=len(table), num_hidden_layers=0, use_cache=False))
        self.table = torch.nn.Parameter(torch.tensor(table, dtype=torch.float32), requires_grad=False)

    def forward(self, input_ids: Any, **_: Any) -> Any:
        """The rows of the tokens."""
        return CausalLMOutput(logits=self.table[input_ids])


def sample(table: Any, prompt: list[list[int]], settings: dict[str, Any]) -> tuple[Any, Any]:
    """Ids, and the sums of the beams' log probabilities if there are any."""
    from transformers import GenerationConfig

    ids = torch.tensor(prompt)
    asked = GenerationConfig(use_cache=False, return_dict_in_generate=True, output_scores=True, **settings)
    out = TableModel(table).generate(input_ids=ids, attention_mask=torch.ones_like(ids), generation_config=asked)
    return out.sequences, getattr(out, "sequences_scores", None)
