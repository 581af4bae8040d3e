"""Images and video: what a file is, decode it, sample frames, encode; the guard process that does so safely."""
