"""Damage presets in ways that follow their structure, load them, and print every ending that is no named error.

Runs in a process of its own (`python -m refimpl.presets.tests.corruption FIRST COUNT`), as a bad ending may be its end.
"""

import json
import random
import resource
import shutil
import signal
import struct
import sys
import tempfile
import traceback
from pathlib import Path

import h5py
import numpy as np

from refimpl.errors import RefimplError
from refimpl.models import Seq2SeqLM
from refimpl.presets.tests import folders

SECONDS = 20
MEMORY = 2**26
WILD = [None, True, False, 0, -1, 1, 2**31, 2**63, 10**30, 10**400, 1.5, 1e300, "", "x", "\ud800", "../x", [], {}, [[]]]
WILD += [{"a": {}}, float("nan"), float("inf"), "keras_hub>BartBackbone", "keras_hub>BartTokenizer", "bart"]


def make_presets(root):
    """One folder of each form."""
    made = [folders.keras_folder(root / "keras"), root / "sharded"]
    folders.LM.save_to_preset(made[1], max_shard_size=15_000 / 1024**3)
    made += [folders.transformers_folder(root / "transformers"), root / "exported"]
    folders.LM.export_to_transformers(made[-1])
    made.append(folders.sharded_transformers_folder(root / "sharded_transformers"))
    return made


def places(node, path=()):
    """All places in a JSON value, the value itself last."""
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    found = []
    for key, value in items:
        found += places(value, (*path, key))
    return [*found, path]


def damage_json(rng, content):
    """Remove, retype, inflate or nest something, somewhere."""
    some = places(content)
    for _ in range(rng.choice([1, 1, 1, 2, 4])):
        path = rng.choice(some if len(some) < 300 or rng.random() < 0.3 else some[-40:])
        if not path:
            return rng.choice(WILD)
        node = content
        try:
            for key in path[:-1]:
                node = node[key]
            damage_entry(rng, node, path[-1], node[path[-1]])
        except (KeyError, IndexError, TypeError):
            continue  # what was there has been damaged before
    return content


def damage_entry(rng, node, key, old):
    """One entry of an object or array."""
    how = rng.randrange(6)
    if how == 0:
        del node[key]
    elif how == 1 and isinstance(node, dict):
        node[rng.choice(["x", "", "dtype", "name", "weights_from", *map(str, node)])] = rng.choice([old, *WILD])
    elif how == 2 and type(old) in (int, float):
        node[key] = old + rng.choice([1, -1, 0.5, 10**6, 2**40])
    elif how == 3:
        node[key] = json.loads("[" * 500 + "1" + "]" * 500)
    elif how == 4 and isinstance(old, str) and old:
        at = rng.randrange(len(old))
        node[key] = old[:at] + rng.choice(["", "/", "\0", "é", old]) + old[at + 1 :]
    else:
        node[key] = rng.choice(WILD)


def damage_bytes(rng, data):
    """Flip bits, cut off, insert, overwrite."""
    data = bytearray(data)
    for _ in range(rng.choice([1, 1, 2, 5, 30])):
        at = rng.randrange(len(data) + 1)
        how = rng.randrange(6)
        if how <= 2 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif how == 3:
            data[at : at + rng.choice([1, 2, 4, 8])] = rng.choice([b"\0", b"\xff", b"\x7f"]) * rng.choice([1, 2, 4, 8])
        elif how == 4 and rng.random() < 0.3:
            del data[at:]
        elif how == 5 and rng.random() < 0.3:
            data[at:at] = rng.randbytes(rng.choice([1, 4, 8, 64]))
    return bytes(data)


def damage_header(rng, data):
    """A safetensors header that says something else about the same numbers."""
    length = struct.unpack("<Q", data[:8])[0]
    header = json.dumps(damage_json(rng, json.loads(data[8 : 8 + length]))).encode()
    wrong = rng.choice([len(header)] * 5 + [0, len(header) - 1, 2**40, 2**64 - 1])
    return struct.pack("<Q", wrong) + header + data[8 + length :]


def damage_tree(rng, path):
    """Datasets that are gone, of another shape or type, in pieces, or links."""
    with h5py.File(path, "a") as file:
        names = []
        file.visititems(lambda name, node: names.append(name) if isinstance(node, h5py.Dataset) else None)
        for name in rng.sample(names, min(len(names), rng.choice([1, 1, 3]))):
            array = file[name][...]
            del file[name]
            how = rng.randrange(9)
            if how == 0:
                file[name] = array.astype(rng.choice(["f2", "f8", ">f4", "i4", "S3", "c8", "?"]))
            elif how == 1:
                file[name] = array.reshape(-1)[: rng.randrange(array.size + 1)]
            elif how == 2:
                file.create_dataset(name, (2**40,), "f4")
            elif how == 3:
                file.create_dataset(name, data=array, chunks=True, compression=rng.choice([None, "gzip"]))
            elif how == 4:
                file[name] = rng.choice([h5py.SoftLink("/vars"), h5py.ExternalLink("/etc/passwd", "/")])
            elif how == 5:
                file[name] = array.view("V2") if array.itemsize == 2 else array.view("V4")
                file[name].attrs["dtype"] = "bfloat16"
            elif how == 6:
                file[name] = h5py.Empty("f4")
            elif how == 7:
                file[name] = file  # a ring
    return path.read_bytes()


def damage(rng, folder):
    """Damage one file of a preset."""
    files = sorted(p for p in folder.rglob("*") if p.is_file())
    path = rng.choice(files)
    data, how = path.read_bytes(), rng.random()
    if how < 0.04:
        path.unlink()
        return
    if how < 0.06:
        data = b""
    elif path.suffix == ".json" and how < 0.85:
        data = json.dumps(damage_json(rng, json.loads(data))).encode()
    elif path.suffix == ".safetensors" and how < 0.5:
        data = damage_header(rng, data)
    elif path.suffix == ".h5" and how < 0.3:
        data = damage_tree(rng, path)
    else:
        data = damage_bytes(rng, data)
    path.write_bytes(data)


def load_and_use(folder):
    """A preset that loads must be usable, or say why not."""
    lm = Seq2SeqLM.from_preset(folder)
    for weight in lm.backbone.layout(lm.backbone.config):
        array = lm.backbone.params[weight.name]
        assert array.shape == weight.shape
        assert array.dtype == np.float32
        array.sum()  # reads every page of the file
    if lm.preprocessor is not None and lm.preprocessor.decoder_sequence_length < 10**4:
        batch = lm.preprocessor.generate_preprocess([" airplane <mask> at", "</s>é"], sequence_length=5)
        with np.errstate(all="ignore"):
            lm(batch)


def peak():
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def stop(*_):
    raise TimeoutError(f"more than {SECONDS} seconds")


def main(first, count):
    endings = {}
    signal.signal(signal.SIGALRM, stop)
    with tempfile.TemporaryDirectory() as root:
        presets = make_presets(Path(root))
        for preset in presets:
            load_and_use(preset)
        for seed in range(first, first + count):
            print(f"seed {seed}", flush=True)
            rng = random.Random(seed)
            folder = Path(root, "damaged")
            shutil.copytree(rng.choice(presets), folder)
            damage(rng, folder)
            before = peak()
            signal.alarm(SECONDS)
            try:
                load_and_use(folder)
                ending = "loaded"
            except RefimplError as error:
                ending = type(error).__name__
                str(error)
            except BaseException:
                ending = "BAD"
                print(f"BAD seed {seed}: {traceback.format_exc()[-2500:]}")
            signal.alarm(0)
            if peak() - before > MEMORY:
                print(f"BAD seed {seed}: took {peak() - before} bytes")
            endings[ending] = endings.get(ending, 0) + 1
            shutil.rmtree(folder)
    print("endings", json.dumps(endings), flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
