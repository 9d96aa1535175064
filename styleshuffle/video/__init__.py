"""Films: read frames, paint them so that the paint follows the motion, and write a film again.

A film costs two packages that a picture does not need, PyAV and OpenCV (``pip install 'styleshuffle[video]'``). They are
imported by the functions that need them; `check_packages` refuses with one line where they are missing.
"""

from .film import FILM_SUFFIXES, FilmSettings, check_packages

__all__ = ["FILM_SUFFIXES", "FilmSettings", "check_packages"]
