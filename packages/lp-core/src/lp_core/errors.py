"""Errors a user can cause. Their text is one sentence: what is wrong, in which file or key, what to do."""


class LpError(Exception):
    """Anything a user can put right; apps print its text alone and exit with status 2."""


class ConfigError(LpError, ValueError):
    """A key or value of the configuration is wrong."""


class DataError(LpError, ValueError):
    """A file of the user's is missing, damaged or does not fit the others."""


class PluginError(LpError):
    """An installed part cannot be used; the text names the distribution it came from."""


class UnknownNameError(LpError, KeyError):
    """A part of that name is not installed."""

    def __str__(self) -> str:
        return str(self.args[0])  # KeyError would print the quoted repr
