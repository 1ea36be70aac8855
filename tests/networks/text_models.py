"""Makes small text encoders as they lie in a folder: BERT and MPNet with weights by a formula, and their tokenizer."""

import json
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

WORDS = ("a", "funny", "film", "about", "love", "tender", "comedy", "romance", "the", "car", "engine", "broke")
WIDTH, INNER, LAYERS, HEADS, BUCKETS, PLACES = 16, 40, 2, 4, 32, 200
CONFIG: dict[str, Any] = {
    "hidden_size": WIDTH,
    "intermediate_size": INNER,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "hidden_act": "gelu",
    "layer_norm_eps": 1e-6,
    "max_position_embeddings": PLACES,
    "type_vocab_size": 2,
    "relative_attention_num_buckets": BUCKETS,
}
SPECIAL = {"bert": ("[PAD]", "[UNK]", "[CLS]", "[SEP]"), "mpnet": ("<s>", "<pad>", "</s>", "[UNK]")}
PAD = {"bert": 0, "mpnet": 1}


def write(folder: Path, family: str, **config: Any) -> Path:
    """Write a model; return its folder. config: changes of its config.json."""
    import safetensors.numpy

    folder.mkdir(parents=True, exist_ok=True)
    words = (*SPECIAL[family], *WORDS)
    settings = CONFIG | {"model_type": family, "pad_token_id": PAD[family], "vocab_size": len(words)} | config
    write_json(folder / "config.json", settings)
    kinds = {"Transformer": "", "Pooling": "1_Pooling", "Normalize": "2_Normalize"}
    modules = [{"path": path, "type": f"sentence_transformers.models.{kind}"} for kind, path in kinds.items()]
    write_json(folder / "modules.json", modules)
    write_json(folder / "1_Pooling/config.json", {"pooling_mode_mean_tokens": True, "pooling_mode_cls_token": False})
    write_json(folder / "sentence_bert_config.json", {"max_seq_length": 180, "do_lower_case": False})
    write_tokenizer(folder / "tokenizer.json", family)
    shapes = _shapes(family, len(words))
    safetensors.numpy.save_file(
        {name: weight(name, shape) for name, shape in shapes.items()}, folder / "model.safetensors"
    )
    return folder


def write_json(file: Path, value: Any) -> None:
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(value))


def write_tokenizer(file: Path, family: str) -> None:
    """Write a tokenizer that knows WORDS, in lower case."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

    words = (*SPECIAL[family], *WORDS)
    ids = {word: number for number, word in enumerate(words)}
    tokenizer = Tokenizer(models.WordLevel(ids, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    first, last = ("[CLS]", "[SEP]") if family == "bert" else ("<s>", "</s>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{first} $A {last}", special_tokens=[(first, ids[first]), (last, ids[last])]
    )
    tokenizer.enable_padding(length=20)  # as some models' files have it; sentences are padded by the encoder alone
    tokenizer.save(str(file))


def weight(name: str, shape: tuple[int, ...]) -> npt.NDArray[np.float32]:
    """A weight by a formula: numbers between -.5 and .5; about 1 for the scales of norms."""
    start = zlib.crc32(name.encode()) % 1000
    values = np.sin(np.arange(np.prod(shape), dtype=np.float64) ** 1.5 + start) / 2
    if name.endswith("LayerNorm.weight"):
        values = 1 + values / 2
    return values.reshape(shape).astype(np.float32)


def _shapes(family: str, words: int) -> dict[str, tuple[int, ...]]:
    """The shapes of all weights, by the names that transformers gives them."""
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (words, WIDTH),
        "embeddings.position_embeddings.weight": (PLACES, WIDTH),
    }
    norms = ["embeddings"]
    attention = {
        "bert": ("self.query", "self.key", "self.value", "output.dense"),
        "mpnet": ("attn.q", "attn.k", "attn.v", "attn.o"),
    }
    if family == "bert":
        shapes["embeddings.token_type_embeddings.weight"] = (2, WIDTH)
    else:
        shapes["encoder.relative_attention_bias.weight"] = (BUCKETS, HEADS)
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        dense = {f"attention.{part}": (WIDTH, WIDTH) for part in attention[family]}
        dense |= {"intermediate.dense": (INNER, WIDTH), "output.dense": (WIDTH, INNER)}
        for part, shape in dense.items():
            shapes |= {f"{layer}.{part}.weight": shape, f"{layer}.{part}.bias": shape[:1]}
        norms += [f"{layer}.attention.output" if family == "bert" else f"{layer}.attention", f"{layer}.output"]
    for name in norms:
        shapes |= {f"{name}.LayerNorm.weight": (WIDTH,), f"{name}.LayerNorm.bias": (WIDTH,)}
    return shapes
