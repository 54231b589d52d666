"""Messages between runner and implementation: plain JSON values, with arrays in a form of their own."""

from typing import Any

import numpy as np

# Python's exceptions by the words that cases use. An error may be of several kinds; a case names those it takes.
KINDS = {
    "ValueError": "value",
    "TypeError": "type",
    "KeyError": "key",
    "IndexError": "index",
    "FileNotFoundError": "missing-file",
    "OSError": "os",
    "OverflowError": "overflow",
    "AttributeError": "attribute",
    "RuntimeError": "runtime",
    "NotImplementedError": "not-implemented",
    "JSONDecodeError": "json",
    "InvalidArgumentError": "value",  # TensorFlow's
    "InvalidArgument": "value",  # ONNX Runtime's
    "Fail": "runtime",  # ONNX Runtime's
    "InternalError": "runtime",  # TensorFlow's
    "StagingError": "runtime",  # TensorFlow's, around any error in a traced function
}


class UnsupportedError(Exception):
    """The implementation can't do this operation, and says so."""


class AdapterError(Exception):
    """What came back is no answer at all: the program ended, was silent, or said something else."""


def encode(value: Any) -> Any:
    """A value as JSON: float arrays as {"dtype", "shape", "data"}, all others as nested lists."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "f":
        return {"dtype": str(value.dtype), "shape": list(value.shape), "data": value.astype(float).ravel().tolist()}
    if isinstance(value, (np.ndarray, np.generic)):
        return value.tolist()
    if isinstance(value, dict):
        return {str(key): encode(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(item) for item in value]
    return value


def decode(value: Any) -> Any:
    """The inverse of `encode`: float arrays as NumPy arrays, the rest as it is."""
    if isinstance(value, dict) and set(value) == {"dtype", "shape", "data"}:
        found, shape = np.array(value["data"], value["dtype"]), tuple(value["shape"])
        if found.size != np.prod(shape, dtype=int):
            raise ValueError(f"`data` of an answer holds {found.size} numbers; its `shape` {shape} has room for others")
        return found.reshape(shape)
    if isinstance(value, dict):
        return {key: decode(item) for key, item in value.items()}
    return [decode(item) for item in value] if isinstance(value, list) else value


def error_message(error: BaseException) -> dict[str, Any]:
    """An exception as {"kinds", "message"}: its class and what it derives from."""
    names = [cls.__name__ for cls in type(error).__mro__]
    kinds = getattr(error, "kinds", None) or [KINDS[name] for name in names if name in KINDS]
    return {"kinds": kinds or [names[0]], "message": str(error), "type": names[0]}


def answer(adapter: Any, op: str, args: dict[str, Any]) -> dict[str, Any]:
    """Ask an adapter: {"result": ...}, {"error": ...} or {"unsupported": reason}; {"broken": why} if no answer came.

    Beside an error of `trace` may stand the `tensors` so far, and the `block` in which it arose.
    """
    try:
        result = adapter.load(args) if op == "load" else adapter.call(op, args)
    except UnsupportedError as reason:
        return {"unsupported": str(reason)}
    except AdapterError as reason:
        return {"broken": str(reason)}
    except Exception as error:  # whatever an implementation raises is its answer
        return {"error": error_message(error)} | getattr(error, "reached", {})
    return {"result": decode(encode(result))}
