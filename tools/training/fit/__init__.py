"""Recipes, augmentation, and the loop with its state."""
