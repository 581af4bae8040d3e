"""Networks that turn clips into feature maps, one file a family of shapes."""
