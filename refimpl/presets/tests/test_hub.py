"""Handles of hubs, through the hubs' real clients and a server on this machine."""

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from refimpl import errors
from refimpl.models import Seq2SeqLM
from refimpl.presets.tests import folders
from refimpl.presets.tests.hub_server import serving

ROOT = Path(__file__).parents[3]
# Runs in a fresh interpreter, as both clients read their settings when they are imported. Prints, for each handle,
# the sum of all weights, or the named error.
SCRIPT = """
    import json, sys
    url, *handles = sys.argv[1:]
    try:
        from kagglesdk import kaggle_env
        kaggle_env._env_to_endpoint[kaggle_env.KaggleEnv.PROD] = url  # no setting for it
    except ImportError:
        pass
    from refimpl import errors
    from refimpl.models import Seq2SeqLM
    for handle in handles:
        try:
            lm = Seq2SeqLM.from_preset(handle)
            print(json.dumps([handle, sum(float(a.ravel().sum()) for a in lm.backbone.params.values())]))
        except errors.RefimplError as error:
            kinds = [c.__name__ for c in type(error).__mro__ if not c.__name__.startswith("_")]
            print(json.dumps([handle, kinds, str(error)]))
"""
SUM = sum(float(a.ravel().sum()) for a in folders.WEIGHTS.values())
NEEDED = ["config.json", "task.json", "preprocessor.json", "tokenizer.json", "model.weights.h5"]
NEEDED += [f"assets/tokenizer/{name}" for name in ("vocabulary.json", "merges.txt")]


def load(home, url, *handles, **environment):
    """What `from_preset` gives for handles, with both clients' caches and credentials under `home`."""
    quiet = {"HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_ETAG_TIMEOUT": "2"}
    places = {"HOME": str(home), "HF_HOME": f"{home}/hf", "KAGGLEHUB_CACHE": f"{home}/kaggle", "HF_ENDPOINT": url}
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("HF_", "KAGGLE", "HUGGING"))}
    command = [sys.executable, "-c", textwrap.dedent(SCRIPT), url, *handles]
    env = kept | quiet | places | environment | {"PYTHONPATH": str(ROOT), "NO_PROXY": "127.0.0.1"}
    done = subprocess.run(command, env=env, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('["')]
    assert [answer[0] for answer in answers] == list(handles)
    return [answer[1:] for answer in answers]


@pytest.fixture(scope="module")
def preset(tmp_path_factory):
    folder = tmp_path_factory.mktemp("served") / "preset"
    folders.keras_folder(folder)
    (folder / "README.md").write_text("Nobody needs me.")
    return folder


@pytest.mark.slow
def test_hugging_face(preset, tmp_path):
    """Only what is needed is fetched, once; later the cache alone will do; a missing thing is named."""
    pytest.importorskip("huggingface_hub")
    bad = ["hf://user/gone", "hf://user/gated", "hf://user/broken"]
    with serving(preset) as server:
        answers = load(tmp_path, server.url, "hf://user/model", "HF://user/model", *bad)
        assert sorted(server.sent) == sorted(NEEDED)
    assert answers[:2] == [[SUM], [SUM]]
    assert [kinds[0] for kinds, _ in answers[2:]] == ["PresetFileNotFoundError"] * 2 + ["PresetFileNotFoundError"]
    assert "terms" in answers[3][1]
    assert all("FileNotFoundError" in kinds for kinds, _ in answers[2:])
    answers = load(tmp_path, server.url, "hf://user/model", "hf://user/other", HF_HUB_OFFLINE="1")
    assert answers[0] == [SUM]
    assert "FileNotFoundError" in answers[1][0]
    links = [path for path in (tmp_path / "hf").rglob("*.h5") if path.is_symlink()]
    assert links, "the cache keeps its files behind links"
    assert Seq2SeqLM.from_preset(links[0].parent).backbone.count_params() == folders.LM.count_params()


@pytest.mark.slow
def test_kaggle(preset, tmp_path):
    """With and without version; without connection the cache alone will do, for the newest version too."""
    pytest.importorskip("kagglehub")
    handle = "kaggle://user/model/keras/variant"
    bad = ["kaggle://user/gone/keras/v", "kaggle://user/gated/keras/v", "kaggle://user/broken/keras/v"]
    with serving(preset) as server:
        answers = load(tmp_path, server.url, f"{handle}/7", handle, f"{handle}/8", *bad)
        assert sorted(server.sent) == sorted(NEEDED)
    assert answers[:2] == [[SUM], [SUM]]
    assert [kinds[0] for kinds, _ in answers[2:]] == [
        "NotAPresetError",
        "NotAPresetError",
        "PresetFileNotFoundError",
        "HubError",
    ]
    assert all("FileNotFoundError" in kinds for kinds, _ in answers[2:5])
    assert "terms" in answers[4][1]
    answers = load(tmp_path, server.url, f"{handle}/7", handle, "kaggle://user/model/keras/other")
    assert answers[:2] == [[SUM], [SUM]]
    assert answers[2][0][0] == "HubError"


@pytest.mark.slow
def test_sharded_and_transformers_from_a_hub(tmp_path):
    """Shards are fetched by their index; a transformers checkpoint by what its folder has."""
    pytest.importorskip("huggingface_hub")
    folders.LM.save_to_preset(tmp_path / "k", max_shard_size=15_000 / 1024**3)
    folders.sharded_transformers_folder(tmp_path / "t")
    for name, unneeded in (("k", "metadata.json"), ("t", "generation_config.json")):
        (tmp_path / name / unneeded).write_text("{}")
        with serving(tmp_path / name) as server:
            (answer,) = load(tmp_path / f"home_{name}", server.url, "hf://user/model")
            assert answer == [pytest.approx(SUM)]
            assert unneeded not in server.sent
            assert len(set(server.sent)) == len(server.sent)


@pytest.mark.parametrize(
    ("preset", "client"),
    [("hf://user/model", "huggingface_hub"), ("kaggle://a/b/c/d", "kagglehub"), ("bart_base_en", "kagglehub")],
)
def test_missing_client(monkeypatch, preset, client):
    monkeypatch.setitem(sys.modules, client, None)
    with pytest.raises(ImportError, match=r"refimpl\[hub\]") as caught:
        Seq2SeqLM.from_preset(preset)
    assert isinstance(caught.value, errors.MissingHubClientError)


@pytest.mark.parametrize(
    "preset",
    [
        "",
        "nowhere",
        "gs://bucket/model",
        "kaggle://a/b/c",
        "kaggle://a/b/c/d/e/f",
        "kaggle://a/b/c/d/latest",
        "kaggle://../b/c/d",
        "kaggle://a//c/d",
        "hf://a/b/c",
        "hf://",
        "hf://../a",
        "a\0b",
    ],
)
def test_wrong_identifiers(preset):
    with pytest.raises(ValueError, match="preset") as caught:
        Seq2SeqLM.from_preset(preset)
    assert isinstance(caught.value, errors.PresetError)


@pytest.mark.parametrize("preset", [3, None, b"folder", ["folder"]])
def test_identifier_of_another_type(preset):
    with pytest.raises(errors.InputTypeError, match="must be a string"):
        Seq2SeqLM.from_preset(preset)


def test_folder_without_configuration(tmp_path):
    with pytest.raises(errors.NotAPresetError, match="no config.json") as caught:
        Seq2SeqLM.from_preset(tmp_path)
    assert isinstance(caught.value, (ValueError, FileNotFoundError))
    (tmp_path / "config.json").write_text('{"foo": 1}')
    with pytest.raises(errors.PresetError, match="Unrecognized format"):
        Seq2SeqLM.from_preset(tmp_path)
