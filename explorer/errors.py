"""What can go wrong for a person: every message says what, where, and what to do."""


class ExplorerError(ValueError):
    """A mistake or a mishap that is told in a sentence; anything else that is raised is a bug."""


class BundleError(ExplorerError):
    """A bundle is missing, damaged, too large, or from another version."""


class ImageError(ExplorerError):
    """An upload is not a picture that can be read, or not one of reasonable size."""


class RunError(ExplorerError):
    """A training run cannot be started, read, resumed or deleted."""


class DataError(ExplorerError):
    """A data set is missing, damaged, or does not fit what was asked of it."""


class FormatError(ExplorerError):
    """Somebody else's file is damaged, hostile, too large, or of a kind that cannot be read."""
