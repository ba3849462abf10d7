"""Fine-tuning on rows: see `exprag.training.sft.lora` for a training, `checkpoints` for choosing one of its adapters."""
