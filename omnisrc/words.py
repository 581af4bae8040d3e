"""Sentences: numbers with their nouns."""

from __future__ import annotations


def counted(count: int, noun: str) -> str:
    """`1 clip`, `1,200 clips`"""
    return f"{count:,} {noun}" + "s" * (count != 1)
