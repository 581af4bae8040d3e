"""Tars of samples with an index beside each: write, read, verify."""
