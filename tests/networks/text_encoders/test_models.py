"""The forward pass in Keras and as ONNX, beside what `transformers` answers; pooling, prompts, lengths."""

import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from postergenre.errors import InputError
from postergenre.networks.text_encoders import finding, keras_model, onnx_encoder, settings
from postergenre.networks.text_encoders.finding import EncoderFiles
from postergenre.networks.text_encoders.onnx_encoder import OnnxEncoder
from postergenre.networks.text_encoders.onnx_graph import Precision
from postergenre.networks.text_encoders.tokens import Tokens, pad
from postergenre.networks.text_encoders.weights import Weights
from tests import support
from tests.factories import read_output
from tests.networks import text_models
from tests.networks.text_models import WORDS

LONG = " ".join(WORDS * 14)
TEXTS = ["a funny film about love", "the car engine broke", LONG]
# What transformers 5.24.0 on torch 2.14.1 gives for TEXTS and the models of `text_models`: the mean of the last hidden
# states, with length 1, rounded.
TRANSFORMERS = {
    "bert": [
        [
            -0.08237,
            -0.19151,
            -0.12674,
            -0.52411,
            -0.29849,
            0.03496,
            0.31507,
            0.45428,
            0.23674,
            0.02438,
            -0.03497,
            0.37434,
            0.16536,
            -0.02535,
            -0.02082,
            0.20836,
        ],
        [
            -0.21729,
            -0.30127,
            -0.12291,
            -0.42829,
            -0.2978,
            0.08139,
            0.29536,
            0.35794,
            0.30748,
            0.08664,
            0.07062,
            0.41067,
            0.02256,
            -0.04347,
            0.0019,
            0.27335,
        ],
        [
            -0.13243,
            -0.34784,
            -0.03531,
            -0.42342,
            -0.34184,
            -0.04154,
            0.23817,
            0.42202,
            0.23949,
            0.06861,
            -0.01147,
            0.34478,
            0.17554,
            0.06992,
            -0.04514,
            0.32973,
        ],
    ],
    "mpnet": [
        [
            -0.42588,
            0.01213,
            0.24266,
            -0.34834,
            0.19337,
            -0.50904,
            0.22934,
            0.10082,
            0.18313,
            0.06186,
            0.15284,
            -0.32532,
            -0.15239,
            0.1105,
            0.02307,
            0.2765,
        ],
        [
            -0.38997,
            0.0012,
            0.20845,
            -0.45977,
            0.16491,
            -0.53499,
            0.1804,
            0.04577,
            0.17874,
            0.0767,
            0.22057,
            -0.23733,
            -0.12592,
            0.21162,
            0.03297,
            0.20125,
        ],
        [
            -0.46951,
            0.00521,
            0.18308,
            -0.0829,
            0.12474,
            -0.36849,
            0.37344,
            0.35554,
            0.30319,
            0.00616,
            0.04244,
            -0.26345,
            -0.15866,
            -0.24162,
            -0.00479,
            0.27419,
        ],
    ],
}


def embed_by_keras(folder: Path, texts: list[str]) -> np.ndarray:
    """Embed texts in one batch, the shorter ones padded."""
    read = settings.read(folder)
    tokens = Tokens(folder / "tokenizer.json", read.prompt, read.lower, read.max_tokens)(texts)
    ids, mask = pad(tokens, read.pad)
    return np.asarray(keras_model.build(read, Weights(folder, read))([ids, mask]))


def exported(folder: Path, target: Path, precision: Precision = "float32") -> OnnxEncoder:
    target.mkdir()
    onnx_encoder.export(EncoderFiles("small", folder, None, 0), target, precision)
    return OnnxEncoder(target)


@pytest.mark.parametrize("family", TRANSFORMERS)
def test_a_model_computes_what_transformers_does(family: str, tmp_path: Path) -> None:
    folder = text_models.write(tmp_path / "model", family)
    np.testing.assert_allclose(embed_by_keras(folder, TEXTS), TRANSFORMERS[family], atol=1e-4)
    np.testing.assert_allclose(exported(folder, tmp_path / "onnx")(TEXTS), TRANSFORMERS[family], atol=1e-4)


@pytest.mark.parametrize("family", TRANSFORMERS)
@pytest.mark.parametrize(("precision", "cosine"), [("float16", 0.99999), ("int8", 0.999)])
def test_rounded_weights_give_nearly_the_same(family: str, precision: Precision, cosine: float, tmp_path: Path) -> None:
    folder = text_models.write(tmp_path / "model", family)
    vectors = exported(folder, tmp_path / "onnx", precision)(TEXTS)
    assert ((vectors * np.array(TRANSFORMERS[family])).sum(axis=1) > cosine).all()


POOLED = {"pooling_mode_mean_tokens": False}
CHANGES: dict[str, dict[str, Any]] = {
    "cls": {"1_Pooling/config.json": POOLED | {"pooling_mode_cls_token": True}},
    "max": {"1_Pooling/config.json": POOLED | {"pooling_mode_max_tokens": True}},
    "cls, as newer files have it": {"1_Pooling/config.json": {"pooling_mode": "cls"}},
    "not normalised": {"modules.json": [{"path": "", "type": "sentence_transformers.models.Transformer"}]},
}


@pytest.mark.parametrize("change", CHANGES)
def test_onnx_computes_what_keras_does(change: str, tmp_path: Path) -> None:
    folder = text_models.write(tmp_path / "model", "mpnet", hidden_act="gelu_new")
    plain = embed_by_keras(folder, TEXTS)
    for name, value in CHANGES[change].items():
        text_models.write_json(folder / name, value)
    vectors = embed_by_keras(folder, TEXTS)
    assert np.abs(vectors - plain).max() > 0.05
    np.testing.assert_allclose(exported(folder, tmp_path / "onnx")(TEXTS), vectors, atol=1e-5)


def test_a_prompt_a_case_and_a_length_are_as_the_models_files_say(tmp_path: Path) -> None:
    folder = text_models.write(tmp_path / "model", "bert")
    plain = exported(folder, tmp_path / "plain")
    prompts = {"prompts": {"query": "car", "document": "funny "}, "default_prompt_name": None}
    text_models.write_json(folder / "config_sentence_transformers.json", prompts)
    text_models.write_json(folder / "sentence_bert_config.json", {"max_seq_length": 5, "do_lower_case": True})
    changed = exported(folder, tmp_path / "changed")
    np.testing.assert_allclose(
        changed(["  LOVE", "film about the car"]), plain(["funny love", "funny film about"]), atol=1e-6
    )


def test_a_text_has_the_same_vector_whatever_stands_beside_it(tmp_path: Path) -> None:
    encoder = exported(text_models.write(tmp_path / "model", "mpnet"), tmp_path / "onnx", "int8")
    texts = [" ".join(WORDS[: 1 + n % 7]) for n in range(40)]
    alone = np.concatenate([encoder([text]) for text in texts])
    np.testing.assert_allclose(encoder([*texts, LONG])[:-1], alone, atol=1e-6)


def test_an_empty_text_is_zeros(tmp_path: Path) -> None:
    encoder = exported(text_models.write(tmp_path / "model", "bert"), tmp_path / "onnx")
    vectors = encoder(["", "love", " \n"])
    assert not vectors[[0, 2]].any()
    assert np.linalg.norm(vectors[1]) == pytest.approx(1)
    assert encoder([]).shape == (0, 16)


def test_the_same_weights_give_the_same_bytes(tmp_path: Path) -> None:
    folder = text_models.write(tmp_path / "model", "mpnet")
    digests = {exported(folder, tmp_path / name, "int8").digest for name in ("one", "two")}
    assert len(digests) == 1
    assert exported(folder, tmp_path / "three").digest not in digests


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("config.json", {"model_type": "xlm-roberta"}, "'xlm-roberta'; text encoders of the families bert and mpnet"),
        ("config.json", {"model_type": "bert"}, "does not describe a model of the family bert or mpnet"),
        ("config.json", {"model_type": "bert", "hidden_act": "silu"}, "'silu'; gelu, gelu_new, relu are computed"),
        ("modules.json", [{"type": "sentence_transformers.models.Dense"}], "has the module Dense"),
        ("1_Pooling/config.json", {"pooling_mode_lasttoken": True}, "pools by lasttoken"),
    ],
)
def test_what_is_not_computed_is_refused(name: str, value: Any, sentence: str, tmp_path: Path) -> None:
    folder = text_models.write(tmp_path / "model", "bert")
    text_models.write_json(folder / name, value)
    with pytest.raises(InputError, match=sentence):
        settings.read(folder)


@pytest.mark.parametrize("package", ["safetensors", "tokenizers"])
def test_a_missing_package_is_named(package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = text_models.write(tmp_path / "model", "bert")
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(InputError, match=rf"need the package {package}; pip install 'postergenre\[text\]'"):
        exported(folder, tmp_path / "onnx")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_weights_of_half_the_size_are_read(dtype: str, tmp_path: Path) -> None:
    import ml_dtypes  # NumPy's bfloat16
    import safetensors.numpy

    folder = text_models.write(tmp_path / "model", "bert")
    file = folder / "model.safetensors"
    weights = safetensors.numpy.load_file(file)
    half = ml_dtypes.bfloat16 if dtype == "bfloat16" else np.float16
    safetensors.numpy.save_file({f"bert.{name}": weight.astype(half) for name, weight in weights.items()}, file)
    vectors = exported(folder, tmp_path / "onnx")(TEXTS)
    assert ((vectors * np.array(TRANSFORMERS["bert"])).sum(axis=1) > 0.999).all()
    file.write_bytes(file.read_bytes()[:100])
    with pytest.raises(InputError, match="is not of the format safetensors"):
        exported(folder, tmp_path / "cut")


def test_the_longest_text_is_the_shortest_of_what_the_files_say(tmp_path: Path) -> None:
    folder = text_models.write(tmp_path / "model", "mpnet", pad_token_id=None)
    assert settings.read(folder).max_tokens == 180
    (folder / "sentence_bert_config.json").unlink()
    read = settings.read(folder)
    assert (read.pad, read.max_tokens) == (1, 198)  # its first two positions are for padding
    text_models.write_json(folder / "tokenizer_config.json", {"model_max_length": 64})
    assert settings.read(folder).max_tokens == 64
    assert len(exported(folder, tmp_path / "onnx")([LONG])) == 1


def test_a_file_that_was_changed_is_noticed(tmp_path: Path) -> None:
    exported(text_models.write(tmp_path / "model", "bert"), tmp_path / "onnx")
    description = json.loads((tmp_path / "onnx/encoder.json").read_text())
    for name in ("encoder.onnx", "tokenizer.json"):
        file = tmp_path / "onnx" / name
        before = file.read_bytes()
        file.write_bytes(before + b" ")
        with pytest.raises(InputError, match=f"{name} is not what encoder.json beside it names"):
            OnnxEncoder(tmp_path / "onnx")
        file.write_bytes(before)
    (tmp_path / "onnx/encoder.json").write_text(json.dumps(description | {"settings": {}}))
    with pytest.raises(InputError, match="describes no text encoder"):
        OnnxEncoder(tmp_path / "onnx")


ON_JAX = """
import json, sys
from pathlib import Path
from postergenre.networks import backend
from tests.networks.text_encoders.test_models import TEXTS, embed_by_keras
print(json.dumps([backend.name(), embed_by_keras(Path(sys.argv[1]), TEXTS).tolist()]))
"""


@pytest.mark.long  # jax is imported beside TensorFlow's packages
def test_jax_computes_the_same(tmp_path: Path) -> None:
    pytest.importorskip("jax", reason="jax is not installed")
    folder = text_models.write(tmp_path / "model", "mpnet")
    done = support.run(sys.executable, "-c", ON_JAX, str(folder), cwd=support.ROOT, env={"KERAS_BACKEND": "jax"})
    name, vectors = json.loads(read_output(done).splitlines()[-1])
    assert name == "jax"
    np.testing.assert_allclose(vectors, TRANSFORMERS["mpnet"], atol=1e-4)


@pytest.mark.long
def test_mpnet_knows_what_is_alike(tmp_path: Path) -> None:
    try:
        files = finding.find("mpnet", support.ROOT / "text_encoders.lock")
    except InputError as error:
        pytest.skip(str(error))
    texts = ["a funny film about love", "a tender comedy romance", "the car engine broke"]
    by_keras = embed_by_keras(files.folder, texts)
    onnx_encoder.export(files, tmp_path, "int8")
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 130e6
    by_int8 = OnnxEncoder(tmp_path)(texts)
    np.testing.assert_allclose(by_keras[0] @ by_keras[1:].T, [0.729, 0.188], atol=5e-4)
    np.testing.assert_allclose(by_int8[0] @ by_int8[1:].T, [0.729, 0.188], atol=0.01)
    assert ((by_keras * by_int8).sum(axis=1) > 0.998).all()
