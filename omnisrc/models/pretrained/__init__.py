"""Folders as Hugging Face's transformers writes and reads them: config.json, safetensors, preprocessing, tokenizer."""
