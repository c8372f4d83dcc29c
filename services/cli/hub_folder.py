"""The files beside the graph of a folder for the Hub: configuration, tokenizer and card. Pure.

They say what a loader would otherwise guess: labels in the order of the logits, the inputs that the graph has, the length that it
was trained for, and, under the key `tagsmith`, what decides an answer beyond the best score.
"""

import json
import re
from importlib.resources import files
from typing import Any, Final

from shared.cards.card import write_card
from shared.errors import ModelNotLoadableError
from shared.store.manifest import ClassificationDecoding, Manifest, MultiLabelDecoding

_CLASSES: Final = {
    "classification": "ForSequenceClassification",
    "multi-label": "ForSequenceClassification",
    "entities": "ForTokenClassification",
}
_PROBLEMS: Final = {
    "classification": "single_label_classification",
    "multi-label": "multi_label_classification",
}
# Of the base's configuration: of its own files and task, or code that would be fetched and run.
_NOT_OURS: Final = frozenset(
    {"_name_or_path", "architectures", "auto_map", "custom_pipelines", "dtype", "finetuning_task"}
    | {"id2label", "label2id", "num_labels", "problem_type", "torch_dtype", "transformers_version"}
)
_FAMILY: Final = re.compile(r"(.+?)(?:Model|For[A-Z]\w*|PreTrainedModel)")


def check_exportable(manifest: Manifest) -> None:
    """Raise ModelNotLoadableError where no class of optimum could load the version's graph."""
    base = manifest.lineage.base_model
    if manifest.state == "rejected":
        raise _refused(manifest, "its gate refused it")
    if base is None:
        raise _refused(
            manifest,
            "it was trained from scratch: transformers has no architecture of its kind, which optimum asks for",
        )
    if not base.config.get("model_type"):
        raise _refused(
            manifest, "its manifest is from before the base's config.json was kept in it; train it again"
        )


def config_json(manifest: Manifest) -> bytes:
    """Return config.json: the base's architecture, the version's labels."""
    base = manifest.lineage.base_model
    assert base is not None  # noqa: S101  # for the type checker: check_exportable has looked
    outputs = manifest.tags if manifest.task == "entities" else manifest.labels
    config: dict[str, Any] = {name: value for name, value in base.config.items() if name not in _NOT_OURS}
    if family := _family(base.config):
        config["architectures"] = [family + _CLASSES[manifest.task]]
    config["id2label"] = {str(number): name for number, name in enumerate(outputs)}
    config["label2id"] = {name: number for number, name in enumerate(outputs)}
    if manifest.task in _PROBLEMS:
        config["problem_type"] = _PROBLEMS[manifest.task]
    config["tagsmith"] = _decisions(manifest)
    return _json(config)


def tokenizer_json(stored: bytes) -> bytes:
    """Return tokenizer.json without presets: the one of a base may cut at, or pad to, another length."""
    return _json({**json.loads(stored), "truncation": None, "padding": None})


def tokenizer_config_json(manifest: Manifest, tokenizer: bytes, pad_id: int) -> bytes:
    """Return tokenizer_config.json; `tokenizer` is tokenizer.json."""
    inputs = manifest.variants["fp32"].trunk.inputs
    return _json(
        {
            "tokenizer_class": "PreTrainedTokenizerFast",
            "model_max_length": manifest.tokenization.max_tokens,
            "model_input_names": list(inputs),
            "pad_token": _token(json.loads(tokenizer), pad_id),
            "padding_side": "right",
            "truncation_side": "right",
            "split_special_tokens": True,  # `[SEP]` that is written in a text is five characters
            "clean_up_tokenization_spaces": False,
        }
    )


def readme(manifest: Manifest, *, with_texts: bool) -> bytes:
    """Return README.md: the card, with a section on how to load the folder."""
    usage = files("services.cli").joinpath("usage", f"{manifest.task}.md").read_text("utf-8")
    return write_card(manifest, with_texts=with_texts, usage=usage, library="optimum").encode()


def _decisions(manifest: Manifest) -> dict[str, Any]:
    decoding, tokens = manifest.decoding, manifest.tokenization
    decisions: dict[str, Any] = {
        "version": str(manifest.version),
        "temperature_in_graph": decoding.temperature,
        "max_tokens": tokens.max_tokens,
        "stride_tokens": tokens.stride_tokens,
    }
    if isinstance(decoding, ClassificationDecoding):
        decisions["unknown_below"] = decoding.unknown_below
    if isinstance(decoding, MultiLabelDecoding):
        decisions["thresholds"] = list(decoding.thresholds)  # in the order of the labels
    return decisions


def _family(config: dict[str, object]) -> str:
    """Return how the base's classes begin, such as `Bert`; empty where it does not say."""
    named = config.get("architectures")
    first = str(named[0]) if isinstance(named, list) and named else ""
    match = _FAMILY.fullmatch(first)
    return match[1] if match else ""


def _token(tokenizer: dict[str, Any], number: int) -> str:
    """Find the token of an id."""
    for added in tokenizer.get("added_tokens") or ():
        if added["id"] == number:
            return str(added["content"])
    vocabulary = tokenizer["model"]["vocab"]
    if isinstance(vocabulary, list):  # Unigram: tokens with their scores, in the order of their ids
        return str(vocabulary[number][0])
    return next(str(token) for token, each in vocabulary.items() if each == number)


def _json(record: dict[str, Any]) -> bytes:
    return (json.dumps(record, ensure_ascii=False, indent=2) + "\n").encode()


def _refused(manifest: Manifest, cause: str) -> ModelNotLoadableError:
    version = str(manifest.version)
    return ModelNotLoadableError(
        f"{version} cannot be exported for the Hub: {cause}", model_version=version, cause=cause
    )
