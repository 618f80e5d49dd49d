"""Makes the optimizers of a Keras model follow policies, and records the values they use."""
