"""What sits on a trunk: feature maps to an embedding, and the embedding to logits."""
