"""One module a family: its constructors, and `MODELS`, their names."""
