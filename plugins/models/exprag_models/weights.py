"""What is wrong with the files of a model folder, found by looking at them before a loader meets them.

Loaders say of a damaged file whatever their parser first stumbles over; here the file is named with the likely cause.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_POINTER = b"version https://git-lfs"
_WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
_TOKENIZERS = ("tokenizer.json", "tokenizer_config.json", "tokenizer.model", "vocab.json", "vocab.txt", "spiece.model")
_EMBEDDINGS = ("embed_tokens", "wte", "word_embeddings", "embed_in", "lm_head", "embed_out")


def fault(folder: Path, *, adapter: bool = False) -> tuple[str, str] | None:
    """(what is wrong with a folder's files, what to do), or None. `adapter`: the folder needs no tokenizer and no config."""
    for path in sorted(folder.iterdir()):
        if path.is_file() and path.stat().st_size < 1024 and path.read_bytes().startswith(_POINTER):
            return f"{path} is a git-lfs pointer, not the file itself", "Fetch the files: git lfs pull (or hf download)."
        if path.suffix == ".safetensors" and (damage := _damage(path)):
            return f"{path} {damage}", "Copy or download it again."
    weights = [path for pattern in _WEIGHTS for path in folder.glob(pattern)]
    if not weights and list(folder.glob("*.gguf")):
        cure = "Serve it with llama.cpp or vLLM and name the server (openai:MODEL?base_url=…), or take the original weights."
        return f"{folder} holds GGUF files only, which transformers cannot run", cure
    if adapter:
        return None
    if not (folder / "config.json").is_file():
        return f"{folder} has no config.json: it is not a model folder", "Name the folder that holds config.json."
    if not weights:
        return f"{folder} has no weights (*.safetensors or *.bin)", "Copy them there, or name another folder."
    if not any((folder / name).is_file() for name in _TOKENIZERS):
        return f"{folder} has no tokenizer (tokenizer.json)", "Copy the tokenizer's files of the same model there."
    return None


def embedding_rows(folder: Path) -> int | None:
    """Rows of the embeddings that an adapter brings, for tokens that were added to its base; None where it brings none."""
    for path in sorted(folder.glob("*.safetensors")):
        for name, tensor in header(path).items():
            if any(part in name for part in _EMBEDDINGS) and "lora_" not in name and len(tensor.get("shape", ())) == 2:
                return int(tensor["shape"][0])
    return None


def header(path: Path) -> dict[str, Any]:
    """The tensors of a safetensors file by name, as its header describes them; {} where it cannot be read."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            tensors = json.loads(file.read(length)) if length < 10**8 else {}
    except (OSError, ValueError):
        return {}
    return {name: tensor for name, tensor in tensors.items() if name != "__metadata__"} if isinstance(tensors, dict) else {}


def _damage(path: Path) -> str:
    """What is wrong with a safetensors file, from its header and its size; "" if nothing is."""
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
    tensors = header(path)
    if not tensors:
        return "is truncated: it ends in its header" if 8 + length > size else "is not a safetensors file"
    whole = 8 + length + max(_ends(tensors), default=0)
    return f"is truncated: {size:,} of {whole:,} bytes are there" if size < whole else ""


def _ends(tensors: dict[str, Any]) -> Iterator[int]:
    for tensor in tensors.values():
        if isinstance(tensor, dict) and tensor.get("data_offsets"):
            yield int(tensor["data_offsets"][1])
