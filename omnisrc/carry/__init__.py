"""A whole study in one file: written where the web is, read where it is not."""
