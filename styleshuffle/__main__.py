"""``python -m styleshuffle``: the same as the command ``styleshuffle``."""

from .commands.start import stylize

if __name__ == "__main__":
    stylize()
