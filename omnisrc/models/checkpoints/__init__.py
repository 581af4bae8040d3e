"""Reading and writing weights, one module a format."""
