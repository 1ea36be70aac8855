"""What a model's own files say of it: its size, its pooling, its prompt, and its longest text.

The files are those of sentence-transformers, as they lie in a model's folder.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from postergenre import files
from postergenre.errors import InputError

FAMILIES = ("bert", "mpnet")
PADS = {"bert": 0, "mpnet": 1}  # where a model names no token for padding
CONFIG, TOKENIZER, WEIGHTS = "config.json", "tokenizer.json", "model.safetensors"
MODULES, SENTENCES, PROMPTS = "modules.json", "sentence_bert_config.json", "config_sentence_transformers.json"
TOKENIZER_CONFIG = "tokenizer_config.json"
POOLING = "1_Pooling/config.json"
NEEDED = (WEIGHTS, TOKENIZER, CONFIG)
OPTIONAL = (MODULES, POOLING, SENTENCES, PROMPTS, TOKENIZER_CONFIG)
ACTIVATIONS = ("gelu", "gelu_new", "relu")
# Prompts for texts that are looked into, as opposed to questions.
DOCUMENT_PROMPTS = ("document", "passage", "corpus")
MADE_BY = "`postergenre encoder NAME`"

Pooling = Literal["mean", "cls", "max"]
POOLINGS: tuple[Pooling, ...] = ("mean", "cls", "max")


@dataclass(frozen=True)
class Settings:
    """A model's size, and how it turns a text into a vector.

    family: `bert` or `mpnet`.
    width: of the vector.
    layers: their number.
    heads: of attention in each layer.
    activation: one of ACTIVATIONS.
    epsilon: of the layer norms.
    pad: the id of the padding token.
    pooling: how the tokens' vectors become one.
    normalize: whether the vector's length is made 1.
    prompt: what stands before each text.
    lower: whether texts are put in lower case.
    max_tokens: a longer text is cut.
    """

    family: Literal["bert", "mpnet"]
    width: int
    layers: int
    heads: int
    activation: str
    epsilon: float
    pad: int
    pooling: Pooling
    normalize: bool
    prompt: str
    lower: bool
    max_tokens: int


def read(folder: Path) -> Settings:
    """The settings of the model in a folder.

    Raises:
        InputError: the model is of another family, or has what this project does not compute.
    """
    config = _read(folder / CONFIG)
    _check(config, folder / CONFIG)
    sentences = _read(folder / SENTENCES) if (folder / SENTENCES).exists() else {}
    kinds = _modules(folder)
    try:
        return Settings(
            family=config["model_type"],
            width=int(config["hidden_size"]),
            layers=int(config["num_hidden_layers"]),
            heads=int(config["num_attention_heads"]),
            activation=config.get("hidden_act", "gelu"),
            epsilon=float(config.get("layer_norm_eps", 1e-12)),
            pad=_pad(config),
            pooling=_pooling(folder / POOLING) if "Pooling" in kinds else "mean",
            normalize="Normalize" in kinds,
            prompt=_prompt(folder),
            lower=bool(sentences.get("do_lower_case", False)),
            max_tokens=_max_tokens(folder, config, sentences),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{folder / CONFIG} does not describe a model of the family bert or mpnet: {error!r}"
        ) from None


def _check(config: dict[str, Any], file: Path) -> None:
    family = config.get("model_type")
    if family not in FAMILIES:
        raise InputError(f"{file} has the model_type {family!r}; text encoders of the families bert and mpnet are read")
    if (activation := config.get("hidden_act", "gelu")) not in ACTIVATIONS:
        raise InputError(f"{file} has the hidden_act {activation!r}; {', '.join(ACTIVATIONS)} are computed here")
    if (kind := config.get("position_embedding_type", "absolute")) != "absolute":
        raise InputError(f"{file} has the position_embedding_type {kind!r}; only absolute is computed here")


def _modules(folder: Path) -> set[str]:
    """The kinds of modules that the model consists of, such as Transformer, Pooling and Normalize.

    Raises:
        InputError: one of them is not computed here.
    """
    file = folder / MODULES
    if not file.exists():
        return {"Transformer"} | ({"Pooling"} if (folder / POOLING).exists() else set())
    modules = files.read_json(file, MADE_BY)
    kinds = {str(module["type"]).rpartition(".")[2] for module in modules}
    if other := kinds - {"Transformer", "Pooling", "Normalize"}:
        raise InputError(f"{file} has the module {min(other)}; Transformer, Pooling and Normalize are computed here")
    return kinds


def _pooling(file: Path) -> Pooling:
    """How the model pools.

    Raises:
        InputError: in another way than those of POOLINGS, or in several.
    """
    config = _read(file)
    modes = {key.removeprefix("pooling_mode_"): value for key, value in config.items()}
    chosen = [name.removesuffix("_token").removesuffix("_tokens") for name, value in modes.items() if value is True]
    chosen = chosen or [str(config.get("pooling_mode"))]
    for pooling in POOLINGS:
        if chosen == [pooling]:
            return pooling
    raise InputError(f"{file} pools by {' and '.join(map(str, chosen))}; one of {', '.join(POOLINGS)} is computed here")


def _prompt(folder: Path) -> str:
    """What the model's files put before a text: their default, else what they put before documents."""
    if not (folder / PROMPTS).exists():
        return ""
    config = _read(folder / PROMPTS)
    prompts, default = config.get("prompts") or {}, config.get("default_prompt_name")
    return str(next((prompts[name] for name in (default, *DOCUMENT_PROMPTS) if name in prompts), ""))


def _pad(config: dict[str, Any]) -> int:
    number = config.get("pad_token_id")
    return PADS[config["model_type"]] if number is None else int(number)


def _max_tokens(folder: Path, config: dict[str, Any], sentences: dict[str, Any]) -> int:
    """The tokens of the longest text, the special ones counted."""
    places = int(config["max_position_embeddings"])
    if config["model_type"] == "mpnet":  # its positions begin after that of the padding
        places -= _pad(config) + 1
    tokenizer = _read(folder / TOKENIZER_CONFIG) if (folder / TOKENIZER_CONFIG).exists() else {}
    most = sentences.get("max_seq_length") or tokenizer.get("model_max_length") or places
    return int(min(most, places))


def _read(file: Path) -> dict[str, Any]:
    config = files.read_json(file, MADE_BY)
    if not isinstance(config, dict):
        raise InputError(f"{file} holds no JSON object, as a model's settings should")
    return config
