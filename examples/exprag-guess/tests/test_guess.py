"""The conformance kit: what the rest of exprag relies on."""

from exprag.testing import EnvironmentConformance

from exprag_guess.environment import GuessEnvironment


class TestGuessEnvironment(EnvironmentConformance):
    def make(self) -> GuessEnvironment:
        return GuessEnvironment()
