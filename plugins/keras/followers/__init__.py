"""Optimizers of a Keras model that follow policies, and what a recorder hears of them."""
