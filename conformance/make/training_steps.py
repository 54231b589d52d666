"""Write golden/training/steps/bart_steps.safetensors and keras_parts.json: what KerasHub and Keras do, step by step.

The first holds runs of a whole BART, the second optimizers, schedules, losses and metrics on small arrays.
Needs the `peers` extra, and bart_gradients.safetensors, whose weights the runs start from:
KERAS_BACKEND=jax python conformance/make/training_steps.py
"""

import json
import os
import sys
from pathlib import Path

os.environ.setdefault("KERAS_BACKEND", "jax")

import keras
import keras_hub
import numpy as np
from safetensors.numpy import load_file, safe_open, save_file

FOLDER = Path(__file__).parents[2] / "golden" / "training" / "steps"
PRODUCER = f"keras-hub {keras_hub.__version__}, keras {keras.__version__}, {keras.backend.backend()}, float32"
STEPS = 24
optimizers = keras.optimizers
COSINE = {"initial_learning_rate": 0.0, "decay_steps": 15, "alpha": 0.1, "warmup_target": 0.004, "warmup_steps": 5}
RUNS = {
    "sgd": ("SGD", {"learning_rate": 0.05, "momentum": 0.9, "nesterov": True, "global_clipnorm": 0.5}),
    "adam": ("Adam", {"learning_rate": 0.002}),
    "adamw": ("AdamW", {"learning_rate": 0.002, "weight_decay": 0.05, "clipnorm": 0.1}),
    "cosine": ("Adam", {"learning_rate": COSINE}),
}
CASES = {
    "sgd": ("SGD", {"learning_rate": 0.1}),
    "sgd momentum": ("SGD", {"learning_rate": 0.1, "momentum": 0.8}),
    "sgd nesterov": ("SGD", {"learning_rate": 0.1, "momentum": 0.8, "nesterov": True}),
    "sgd decay": ("SGD", {"learning_rate": 0.1, "weight_decay": 0.3}),
    "adam": ("Adam", {"learning_rate": 0.1}),
    "adam defaults": ("Adam", {}),
    "adam large epsilon": ("Adam", {"learning_rate": 0.1, "epsilon": 0.5, "beta_1": 0.7, "beta_2": 0.8}),
    "adam amsgrad": ("Adam", {"learning_rate": 0.1, "amsgrad": True, "beta_2": 0.3}),
    "adamw": ("AdamW", {"learning_rate": 0.1, "weight_decay": 0.2}),
    "adamw defaults": ("AdamW", {}),
    "clipnorm": ("SGD", {"learning_rate": 0.1, "clipnorm": 0.7}),
    "clipvalue": ("SGD", {"learning_rate": 0.1, "clipvalue": 0.4}),
    "global_clipnorm": ("SGD", {"learning_rate": 0.1, "global_clipnorm": 0.7}),
}
SCHEDULES = {
    "cosine": ("CosineDecay", {"initial_learning_rate": 0.4, "decay_steps": 7}),
    "cosine warmup": ("CosineDecay", COSINE),
    "polynomial": ("PolynomialDecay", {"initial_learning_rate": 0.4, "decay_steps": 7, "power": 2.0}),
    "polynomial cycle": (
        "PolynomialDecay",
        {"initial_learning_rate": 0.4, "decay_steps": 4, "end_learning_rate": 0.1, "cycle": True},
    ),
}


def made(name: str, options: dict) -> keras.optimizers.Optimizer:
    rate = options.get("learning_rate")
    if isinstance(rate, dict):
        options = options | {"learning_rate": optimizers.schedules.CosineDecay(**rate)}
    return getattr(optimizers, name)(**options)


def batches(config: dict) -> list[tuple[dict, np.ndarray, np.ndarray]]:
    """Three ragged batches, the last one short, with weights that are not only 0 and 1."""
    rng = np.random.default_rng(31)
    result = []
    for rows in (4, 4, 2):
        x = {}
        for side, width in (("encoder", 7), ("decoder", 6)):
            lengths = rng.integers(2, width + 1, rows)
            x[f"{side}_token_ids"] = rng.integers(0, config["vocabulary_size"], (rows, width)).astype("int32")
            x[f"{side}_padding_mask"] = (np.arange(width) < lengths[:, None]).astype("int32")
        labels = rng.integers(0, config["vocabulary_size"], (rows, 6)).astype("int32")
        weights = x["decoder_padding_mask"] * rng.choice([0.5, 1.0, 2.0], (rows, 1))
        result.append((x, labels, weights.astype("float32")))
    return result


def runs() -> dict[str, np.ndarray]:
    with safe_open(FOLDER / "bart_gradients.safetensors", "numpy") as file:
        config = json.loads(file.metadata()["about"])["config"]
    start = load_file(FOLDER / "bart_gradients.safetensors")
    names = [key.removeprefix("weight/") for key in start if key.startswith("weight/")]
    data, tensors = batches(config), {}
    for n, (x, labels, weights) in enumerate(data):
        tensors |= {f"batch{n}/{key}": value for key, value in x.items()}
        tensors |= {f"batch{n}/labels": labels, f"batch{n}/weights": weights}
    for run, (name, options) in RUNS.items():
        backbone = keras_hub.models.BartBackbone(**config)
        places = {places_of(w.path): w for w in backbone.weights}
        assert sorted(places) == sorted(names), set(places) ^ set(names)
        for key, variable in places.items():
            variable.assign(start[f"weight/{key}"].astype("float32"))
        lm = keras_hub.models.BartSeq2SeqLM(backbone, preprocessor=None)
        lm.compile(optimizer=made(name, options))
        scores = [lm.train_on_batch(*data[step % len(data)]) for step in range(STEPS)]
        tensors[f"{run}/scores"] = np.array(scores, "float32")
        tensors |= {f"{run}/weight/{key}": keras.ops.convert_to_numpy(variable) for key, variable in places.items()}
    lm.compile(metrics=["accuracy"])
    tensors["evaluate/cosine"] = np.array([lm.test_on_batch(*batch) for batch in data], "float32")
    return tensors


def places_of(path: str) -> str:
    """`bart_backbone/transformer_encoder_layer_0/self_attention_layer/query/kernel` in our names."""
    for old, new in (("self_attention_layer/", "self_attention/"), ("cross_attention_layer/", "cross_attention/")):
        path = path.replace(old, new)
    return "/".join(path.split("/")[-4:] if "attention/" in path else path.split("/")[-3:])


def parts() -> dict:
    """Optimizers on two small variables, the second of them sometimes without decay; schedules; losses; metrics."""
    rng = np.random.default_rng(32)
    start = {"layer/kernel": rng.standard_normal((2, 3)), "layer/bias": 3.0 * rng.standard_normal(3)}
    start = {key: value.astype("float32") for key, value in start.items()}
    slopes = [
        {k: (rng.standard_normal(v.shape) * 2.0**n).astype("float32") for k, v in start.items()} for n in range(4)
    ]
    found: dict = {"optimizers": {}, "schedules": {}, "losses": {}, "metrics": {}}
    for excluded in ([], ["bias"]):
        for case, (name, options) in CASES.items():
            if excluded and "decay" not in case and "adamw" not in case:
                continue
            optimizer = made(name, options)
            if excluded:
                optimizer.exclude_from_weight_decay(var_names=excluded)
            variables = [keras.Variable(value, name=key.split("/")[1]) for key, value in start.items()]
            after = []
            for slope in slopes:
                optimizer.apply([keras.ops.convert_to_tensor(g) for g in slope.values()], variables)
                after.append(
                    {key: keras.ops.convert_to_numpy(v).tolist() for key, v in zip(start, variables, strict=True)}
                )
            label = case + (" without bias" if excluded else "")
            found["optimizers"][label] = {"class": name, "options": options, "excluded": excluded, "after": after}
    for case, (name, options) in SCHEDULES.items():
        schedule = getattr(optimizers.schedules, name)(**options)
        rates = [float(schedule(step)) for step in range(21)]
        found["schedules"][case] = {"class": name, "options": options, "rates": rates}
    listed = [{key: value.tolist() for key, value in slope.items()} for slope in slopes]
    found |= {"start": {key: value.tolist() for key, value in start.items()}, "slopes": listed}
    return found | scores(found, rng)


def scores(found: dict, rng: np.random.Generator) -> dict:
    """Losses with all reductions, and metrics with ties, on one batch of logits."""
    logits = (2.0 * rng.standard_normal((2, 4, 5))).astype("float32")
    logits[0, 0] = [1.0, 3.0, 3.0, 0.0, 3.0]
    labels = np.array([[1, 4, 0, 2], [3, 3, 1, 0]], "int32")
    weights = np.array([[1.0, 2.0, 0.0, 0.5], [1.0, 0.0, 0.0, 3.0]], "float32")
    for ignored in (None, 3):
        for reduction in ("sum_over_batch_size", "mean", "sum", "mean_with_sample_weight"):
            loss = keras.losses.SparseCategoricalCrossentropy(
                from_logits=True, reduction=reduction, ignore_class=ignored
            )
            found["losses"][f"{reduction} {ignored}"] = {
                "reduction": reduction,
                "ignore_class": ignored,
                "unweighted": float(loss(labels, logits)),
                "weighted": float(loss(labels, logits, sample_weight=weights)),
            }
    accuracy = keras.metrics.SparseCategoricalAccuracy()
    perplexity = keras_hub.metrics.Perplexity(from_logits=True)
    masked = keras_hub.metrics.Perplexity(from_logits=True, mask_token_id=3)
    for name, metric in (("accuracy", accuracy), ("perplexity", perplexity), ("perplexity masked", masked)):
        values = []
        for weight in (None, weights):
            metric.reset_state()
            metric.update_state(labels, logits, sample_weight=weight)
            metric.update_state(labels[:1], logits[:1], sample_weight=None if weight is None else weight[:1])
            values.append(float(metric.result()))
        found["metrics"][name] = values
    return {"logits": logits.tolist(), "labels": labels.tolist(), "weights": weights.tolist()}


def main() -> None:
    folder = Path(sys.argv[1]) / "steps" if len(sys.argv) > 1 else FOLDER
    about = {"about": json.dumps({"producer": PRODUCER, "runs": RUNS})}  # one key: several have no fixed order
    save_file(runs(), folder / "bart_steps.safetensors", about)
    text = json.dumps({"producer": PRODUCER} | parts(), indent=1)
    (folder / "keras_parts.json").write_text(text + "\n", encoding="utf-8")
    for path in sorted(folder.iterdir()):
        print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
