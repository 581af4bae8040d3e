"""Videos seen window by window: what to look at, decoded ahead, and passed through a recogniser in batches."""
