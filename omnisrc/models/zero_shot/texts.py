"""Sentences to vectors, by the text side of a network."""

from __future__ import annotations

from typing import Any

import torch

from omnisrc.errors import UserError
from omnisrc.models.pretrained.extra import transformers
from omnisrc.models.pretrained.folder import PretrainedFolder
from omnisrc.models.pretrained.weights import SAFE
from omnisrc.models.zero_shot.prompts import Prompts

BATCH = 256
VOCABULARIES = (("tokenizer.json",), ("vocab.json", "merges.txt"), ("spiece.model",), ("tokenizer.model",))
"""Files of which one group must be there: without them transformers makes a tokenizer that knows no word."""


def load_tokenizer(folder: PretrainedFolder) -> Any:
    """Raises UserError where the folder has none that can be read."""
    library = transformers(f"The network in {folder.path}")
    sentence = (
        f"The folder {folder.path} holds no tokenizer that can be read; fetch its tokenizer.json (or vocab.json and"
        " merges.txt) and tokenizer_config.json too."
    )
    if not any(all((folder.path / name).is_file() for name in names) for names in VOCABULARIES):
        raise UserError(sentence)
    try:
        return library.AutoTokenizer.from_pretrained(folder.path, **SAFE)
    except Exception as error:  # a missing package and a damaged file are raised as anything
        raise UserError(sentence) from error


@torch.inference_mode()
def embed_texts(model: Any, folder: PretrainedFolder, texts: list[str]) -> torch.Tensor:
    """(len(texts), D), as the network gives them: not brought to length 1.

    SigLIP was trained on texts filled up to a fixed length without a mask, the others on masked ones; longer texts are
    cut at the network's limit.
    """
    if not texts:
        return torch.zeros(0, 1)
    tokenizer, limit = load_tokenizer(folder), int(model.config.text_config.max_position_embeddings)
    fixed = folder.model_type == "siglip"
    found = []
    for start in range(0, len(texts), BATCH):
        tokens = tokenizer(
            texts[start : start + BATCH], padding="max_length" if fixed else True, truncation=True, max_length=limit,
            return_tensors="pt",
        )  # fmt: skip
        if int(tokens["input_ids"].max()) >= int(model.config.text_config.vocab_size):
            raise UserError(
                f"The tokenizer in {folder.path} is not that of its weights (they know"
                f" {model.config.text_config.vocab_size} tokens); fetch the folder again."
            )
        mask = {} if fixed else {"attention_mask": tokens["attention_mask"]}
        found.append(model.get_text_features(input_ids=tokens["input_ids"], **mask).pooler_output)
    vectors: torch.Tensor = torch.cat(found).float()
    return vectors


def class_vectors(vectors: torch.Tensor, prompts: Prompts) -> torch.Tensor:
    """Vectors of all sentences (..., S, D) -> of the classes (..., K, D): the mean over a class's sentences, each of
    length 1, brought to length 1 (CLIP's prompt ensemble: Radford et al., 2021, section 3.1.4)."""
    unit = vectors / vectors.norm(dim=-1, keepdim=True)
    means = [part.mean(-2) for part in unit.split([len(texts) for texts in prompts.texts], dim=-2)]
    mean = torch.stack(means, -2)
    classes: torch.Tensor = mean / mean.norm(dim=-1, keepdim=True)
    return classes
