"""Training of styleshuffle's own networks: the compact encoder and the decoder chain.

`data` makes crops from a folder of pictures, `loop` is the training loop that checkpoints and resumes exactly, `log` what
it writes down, and `workers` the processes that train together. `encoder` and `decoder` are the two jobs, which
``python -m styleshuffle.training`` (``styleshuffle-train``) runs. docs/training.md is for users.
"""
