"""Networks that judge pictures by sentences about the classes: no class list of their own, no training."""
