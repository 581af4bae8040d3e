"""Rights in the web data: what a takedown concerns, and how it goes."""
