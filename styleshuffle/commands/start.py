"""Where the commands begin. Signals are taken before anything slow is imported; see `styleshuffle.commands.signals`."""

from __future__ import annotations

from .signals import ignore_late, take_early


def stylize() -> None:
    """The command ``styleshuffle``."""
    take_early()
    from .stylize import main

    try:
        main(prog_name="styleshuffle")
    finally:
        ignore_late()


def evaluate() -> None:
    """The command ``styleshuffle-eval``."""
    take_early()
    from .evaluate import main

    try:
        main(prog_name="styleshuffle-eval")
    finally:
        ignore_late()


def train() -> None:
    """The command ``styleshuffle-train``."""
    take_early()
    from .train import main

    main(prog_name="styleshuffle-train")


def web() -> None:
    """The command ``styleshuffle-web``."""
    take_early()
    from .web import main

    main(prog_name="styleshuffle-web")
