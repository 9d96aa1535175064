"""What styleshuffle raises for input it cannot use.

Every message is one line that names the file or the setting, the reason and the remedy, so that the command line
can show it as it is.
"""


class StyleShuffleError(Exception):
    """Base of the errors that a caller can act on."""


class PictureError(StyleShuffleError):
    """A picture cannot be read or written."""


class SettingsError(StyleShuffleError, ValueError):
    """A setting is outside its range, or two settings contradict each other."""


class MemoryShortage(SettingsError):
    """A picture would need more memory than the machine has."""


class WeightsError(StyleShuffleError):
    """A file of network weights is missing, damaged or belongs to another network."""


class WorkerError(StyleShuffleError):
    """Training on several workers cannot go on: one is lost, differs from the others, or has a useless gradient."""
