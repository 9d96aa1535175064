"""What styleshuffle raises for input it cannot use.

Every message is a single line that names the file or the setting, the reason and the remedy. The command line shows it
unchanged, except that names of settings become options.
"""


class StyleShuffleError(Exception):
    """Base of the errors that a caller can act on."""


class PictureError(StyleShuffleError):
    """A picture cannot be read or written."""


class SettingsError(StyleShuffleError, ValueError):
    """A setting is outside its range, or two settings contradict each other."""


class MemoryShortage(SettingsError):
    """A picture needs more memory than the machine has."""


class WeightsError(StyleShuffleError):
    """A file of network weights is missing, damaged or belongs to another network."""


class WorkerError(StyleShuffleError):
    """Training on several workers cannot continue: a worker is lost or differs, or its gradient is not finite."""
