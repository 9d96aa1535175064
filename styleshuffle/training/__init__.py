"""Training of styleshuffle's own networks: the compact encoder and the decoder chain.

`data` makes crops from a folder of pictures, `loop` is the training loop that checkpoints and resumes exactly,
`encoder` and `decoder` are the two jobs, ``python -m styleshuffle.training`` (``styleshuffle-train``) runs them.
"""
