"""Which block a mutant is in, by the place that it patches: what the suite should name."""

import ast
import functools
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from conformance.mutants import Mutant
from conformance.suite.clauses import ID, read_clauses

ROOT = Path(__file__).parents[2]

# Module and attribute, as patterns, with the names that are right; the first row that fits counts.
# "cited" stands for the topics of the clauses that the code names as its own.
PLACES = (
    ("refimpl.autograd.ops", "attention", "*attention"),
    ("refimpl.autograd.ops", "layer_norm", "*_norm"),
    ("refimpl.autograd.ops", "rms_norm", "*_norm"),
    ("refimpl.autograd.ops", "gelu", "*.feed_forward"),
    ("refimpl.autograd.ops", "relu", "*.feed_forward"),
    ("refimpl.autograd.ops", "embed", "*.embed"),
    ("refimpl.autograd.ops", "unembed", "logits"),
    ("refimpl.autograd.ops", "matmul*", "invariance* encoder* decoder* logits"),
    ("refimpl.autograd.ops", "linear", "*attention *.feed_forward"),
    ("refimpl.autograd.ops", "*loss*", "training*"),
    ("refimpl.autograd*", "*", "training* autograd*"),
    ("refimpl.models.*", "*.encoder_layer", "encoder.layer.*"),
    ("refimpl.models.*", "*.decoder_layer", "decoder.layer.* cache"),
    ("refimpl.models.*", "may_attend_past", "decoder.layer.*.self_attention cache"),
    ("refimpl.models.*", "may_attend_tokens", "*attention"),
    ("refimpl.models.attention", "may_attend_near", "*.self_attention cache"),
    ("refimpl.models.attention", "Attention._kept", "*.self_attention cache"),
    ("refimpl.models.attention", "project", "*attention *.feed_forward encoder.stem.* encoder.embed"),
    ("refimpl.models.attention", "*", "*attention cache"),  # a fault in a whole pass is never named "cache"
    ("refimpl.models.*", "*.attention_of", "*attention cache"),
    ("refimpl.models.*", "*.reach", "*.self_attention cache"),
    ("refimpl.models.*", "*.attend", "*attention *attention*_norm"),
    ("refimpl.models.*", "*.feed_forward", "*.feed_forward"),
    ("refimpl.models.*", "*.group_norm", "encoder.stem.norm"),
    ("refimpl.models.*", "*.final_norm", "*.final_norm"),
    ("refimpl.models.*", "*.norm", "*_norm"),
    ("refimpl.models.*", "EPSILON", "*_norm"),
    ("refimpl.models.*", "ACTIVATIONS", "*.feed_forward"),
    ("refimpl.models.*", "relative_bias", "*.position_bias cache"),
    ("refimpl.models.*", "*.position_bias", "*.position_bias cache"),
    ("refimpl.models.positions", "*", "*.position_bias"),
    ("refimpl.models.*", "*.transform", "*.feed_forward*"),
    ("refimpl.models.*", "MoonshineConfig.*", "presets.load cited"),  # sizes, and what they must be
    ("refimpl.models.*", "*.depth", "encoder.*"),
    ("refimpl.models.*", "*.width", "*.embed"),
    ("refimpl.models.*", "*.layers_of", "encoder.layer.* decoder.layer.*"),
    ("refimpl.models.*", "*.embed", "*.embed cache"),
    ("refimpl.models.*", "convolved", "encoder.stem.* encoder.embed"),
    ("refimpl.models.*", "*.encode_source", "encoder.stem.* encoder.embed"),
    ("refimpl.models.*", "*.whole_frames", "*attention cited"),  # the mask of the encoder's states
    ("refimpl.models.*", "*.source_length", "*attention cache cited"),
    ("refimpl.models.*", "*.encode", "encoder.*"),
    ("refimpl.models.*", "*.decode", "decoder.* cache"),
    ("refimpl.models.*", "*.logits", "logits"),
    ("refimpl.models.*", "*.head", "logits"),
    ("refimpl.models.*", "*.cache_shape", "cache"),
    ("refimpl.models.*", "*.cross_keys_values", "cache"),
    ("refimpl.models.*", "*.forward*", "encoder* decoder* models*"),
    ("refimpl.models.encoder_decoder", "EncoderDecoder", "encoder.layer.* decoder.layer.* generate*"),
    ("refimpl.models.*", "*.call_encoder", "cache encoder* generate* cited"),
    ("refimpl.models.*", "*._encode", "cache generate* cited"),
    ("refimpl.models.seq_2_seq_lm", "Seq2SeqLM.call_decoder_with_cache", "cache"),
    ("refimpl.models.seq_2_seq_lm", "Seq2SeqLM._initialize_cache", "cache"),
    ("refimpl.models.*", "resolve_stop_token_ids", "generate.stop*"),
    ("refimpl.models.seq_2_seq_lm", "*", "generate* cited"),
    ("refimpl.models.generate_io", "*", "generate*"),
    ("refimpl.models.task", "*", "presets* cited"),
    ("refimpl.models.*", "*check_length*", "models.bart models.inputs decoding*"),
    ("refimpl.models.*_tokenizer", "*", "tokenizers*"),
    ("refimpl.models.*.tokenizer", "*", "tokenizers*"),
    ("refimpl.models.*_preprocessor", "*", "preprocessing*"),
    ("refimpl.models.*.preprocessor", "*.__init__", "presets.load preprocessing*"),
    ("refimpl.models.*.preprocessor", "*._parts", "presets* preprocessing*"),
    ("refimpl.models.*.preprocessor", "*.get_config", "presets* preprocessing*"),
    ("refimpl.models.*.preprocessor", "*.write_preset_files", "presets* preprocessing*"),
    ("refimpl.models.*.preprocessor", "*", "preprocessing*"),
    ("refimpl.models.moonshine.layout", "_frequencies", "*.self_attention models.moonshine"),
    (
        "refimpl.models.moonshine.layout",
        "",
        "presets.load encoder.stem.* encoder.embed models.moonshine preprocessing.audio",
    ),
    ("refimpl.models.*.layout", "*", "presets* models.weights cited"),
    ("refimpl.models.*.transformers", "*", "presets*"),
    ("refimpl.models.activations", "*", "presets.load presets.config presets.save"),
    ("refimpl.models.*", "*Config*", "presets.load presets.config cited"),
    ("refimpl.models.config", "*", "presets.load presets.config"),
    ("refimpl.models.*", "*.is_trainable", "training*"),
    ("refimpl.models.*.backbone", "_*", "presets.load presets.config models.t5gemma"),  # how its configuration is read
    ("refimpl.models.*.backbone", "", "*_norm encoder.stem.norm"),  # EPSILON
    ("refimpl.models.*_backbone", "*__init__", "presets* models*"),
    ("refimpl.models.backbone", "*", "presets* models.inputs models.backbone models.weights models.logits cited"),
    ("refimpl.models.weights", "*", "presets.load models.weights cited"),
    ("refimpl.models.inputs", "*", "models.inputs cited"),
    ("refimpl.decoding.steps", "*", "cache generate*"),
    ("refimpl.decoding*", "*", "generate* cited"),
    ("refimpl.tokenizers*", "*save*", "presets* tokenizers*"),
    ("refimpl.tokenizers*", "*", "tokenizers*"),
    ("refimpl.preprocessing*", "*._class_for", "presets* preprocessing*"),  # what of a preprocessor belongs to presets
    ("refimpl.preprocessing*", "*.get_config", "presets* preprocessing*"),
    ("refimpl.preprocessing*", "*.fit_to_positions", "presets* preprocessing*"),
    ("refimpl.preprocessing*", "*generate_preprocess", "preprocessing* generate.max-length*"),
    ("refimpl.preprocessing*", "*", "preprocessing*"),
    ("refimpl.presets*", "*", "presets*"),
    ("refimpl.samplers.beam*", "*", "samplers.beam*"),
    ("refimpl.samplers.contrastive*", "*", "samplers.contrastive*"),
    ("refimpl.samplers.top_k*", "*", "samplers.top-k*"),
    ("refimpl.samplers.top_p*", "*", "samplers.top-p*"),
    ("refimpl.samplers.greedy*", "*", "samplers.greedy*"),
    ("refimpl.samplers.random*", "*", "samplers.random*"),
    ("refimpl.samplers.speculative*", "*", "samplers.speculative*"),
    ("refimpl.samplers*", "*", "samplers*"),
    ("refimpl.random*", "*", "samplers* training*"),
    ("refimpl.training*", "*", "training*"),
    ("refimpl.task*", "*", "task* generate* presets*"),
)


def names_at(module: str, path: str) -> list[str]:
    """Patterns of the names that are right for a place: of the first row that fits, else what its code cites."""
    fits = (right for m, p, right in PLACES if fnmatch(module, m) and fnmatch(path, p))
    words = next(fits, "cited").split()
    named = [word for word in words if word != "cited"] + (sorted(_cited(module, path)) if "cited" in words else [])
    return list(dict.fromkeys(named))


@functools.cache
def _known() -> set[str]:
    return set(read_clauses())


@functools.cache
def _tree(module: str) -> ast.Module:
    return ast.parse((ROOT / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8"))


def _cited(module: str, path: str) -> set[str]:
    """`chapter.topic` of the clauses that stand in a function, in its class's docstring, or in the module's."""
    node: Any = _tree(module)
    text = ast.get_docstring(node) or ""
    for name in path.split("."):
        node = next((each for each in getattr(node, "body", ()) if getattr(each, "name", "") == name), None)
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
            text += "\n" + (ast.unparse(node) if isinstance(node, ast.FunctionDef) else ast.get_docstring(node) or "")
    return {".".join(id.split(".")[:2]) for id in ID.findall(text) if id in _known()}


def right_names(mutant: Mutant) -> list[str]:
    """Patterns of the names that are right: of the mutant itself, or by the places that it patches."""
    if mutant.block:
        return mutant.block.split()
    return [name for module, path, _ in mutant.patches for name in names_at(module, path)]


def named(mutant: Mutant, block: str) -> bool:
    """Whether what the suite names is where the mutant is wrong."""
    return any(fnmatch(block, pattern) for pattern in right_names(mutant))
