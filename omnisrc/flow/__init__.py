"""Extraction of optical flow into caches that lie beside the study's shards."""
