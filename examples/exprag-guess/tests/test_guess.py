from exprag.testing import EnvironmentConformance
from exprag_guess import GuessNumber


class TestGuess(EnvironmentConformance):
    def make(self):
        return GuessNumber()
