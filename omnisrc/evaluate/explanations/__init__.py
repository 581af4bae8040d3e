"""Where in a clip a recogniser finds its evidence."""
