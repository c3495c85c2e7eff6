"""The errors that this distribution raises itself."""


class LlmMonitorError(Exception):
    """Parent of every error raised here."""


class SettingsError(LlmMonitorError):
    """Settings that can't be used: each problem names the setting, its value and what is allowed.

    Attributes:
        problems: One sentence per wrong setting, none of them showing a secret.
    """

    def __init__(self, problems: list[str]) -> None:
        """Keep `problems`, one sentence each."""
        super().__init__("\n".join(problems))
        self.problems = problems


class SourceError(LlmMonitorError):
    """A source was reached but what it said can't be used (garbled, out of range)."""


class SourceMissingError(SourceError):
    """A source does not exist here, or may not be read by this user."""


class DeclarationError(LlmMonitorError):
    """A family or collector is declared wrongly, or a collector gave what it did not declare."""
