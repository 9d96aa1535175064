"""``python -m styleshuffle``: the same as the command ``styleshuffle``."""

from .commands.stylize import main

if __name__ == "__main__":
    main(prog_name="styleshuffle")
