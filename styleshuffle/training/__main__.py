"""``python -m styleshuffle.training``: the same as ``styleshuffle-train``, for torchrun."""

from ..commands.train import main

if __name__ == "__main__":
    main(prog_name="styleshuffle-train")
