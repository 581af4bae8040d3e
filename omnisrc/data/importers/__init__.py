"""Readers of target data sets: one module a format, behind `formats.read_target`."""
