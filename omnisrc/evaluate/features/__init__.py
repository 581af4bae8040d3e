"""Clip features in files."""
