"""Networks: the VGG feature extractor, its decoder chain, and their weights."""
