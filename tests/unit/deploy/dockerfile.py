"""Just enough of a Dockerfile's grammar to ask what an image holds."""

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True, slots=True)
class Instruction:
    """One instruction, continuation lines joined."""

    word: str  # such as COPY
    rest: str


@dataclass(frozen=True, slots=True)
class Dockerfile:
    """The stages of a build; the last one is the image."""

    stages: tuple[tuple[Instruction, ...], ...]
    comment: str  # all lines of it

    @classmethod
    def read(cls, service: str) -> "Dockerfile":
        """Read the Dockerfile of `infer` or `train`."""
        text = (ROOT / f"deploy/docker/{service}.Dockerfile").read_text()
        lines = (
            "\n".join(line for line in text.splitlines() if not line.startswith("#"))
            .replace("\\\n", " ")
            .splitlines()
        )
        stages: list[list[Instruction]] = []
        for word, _, rest in (line.strip().partition(" ") for line in lines if line.strip()):
            if word == "FROM":
                stages.append([])
            stages[-1].append(Instruction(word, " ".join(rest.split())))
        comment = "\n".join(line for line in text.splitlines() if line.startswith("#"))
        return cls(tuple(map(tuple, stages)), comment)

    def all(self, word: str, stage: int) -> list[str]:
        """Return what follows each `word` of a stage."""
        return [each.rest for each in self.stages[stage] if each.word == word]

    @property
    def copied(self) -> list[tuple[str, str]]:
        """The (source, destination) pairs that enter the build from the project, in order."""
        pairs = [rest.split() for rest in self.all("COPY", 0)]
        return [(source, words[-1]) for words in pairs for source in words[:-1]]

    @property
    def environment(self) -> dict[str, str]:
        """The image's environment."""
        words = [word for rest in self.all("ENV", -1) for word in rest.split()]
        return dict(word.split("=", maxsplit=1) for word in words)
