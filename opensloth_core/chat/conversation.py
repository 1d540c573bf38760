"""A conversation with a trained model, and beside it the same one with the model before training."""

from collections.abc import Callable

from opensloth_core.chat.model import Answer, ChatModel, Message, Sampling

OnText = Callable[[str], None]


class Conversation:
    """The turns so far; an answer that is stopped or refused leaves them as they were."""

    def __init__(self, model: ChatModel, sampling: Sampling, without_adapter: bool = False) -> None:
        self._model = model
        self._sampling = sampling
        self._without_adapter = without_adapter
        self._system: str | None = None
        self._turns: list[Message] = []

    def ask(self, text: str, on_text: OnText = lambda text: None) -> Answer:
        """Say something and get the answer; see `ChatModel.answer`."""
        turns = [*self._turns, {"role": "user", "content": text}]
        system = [{"role": "system", "content": self._system}] if self._system else []
        answer = self._model.answer([*system, *turns], self._sampling, on_text, self._without_adapter)
        self._turns = [*turns, {"role": "assistant", "content": answer.text}]
        return answer

    @property
    def num_turns(self) -> int:
        """Questions and answers so far."""
        return len(self._turns)

    def rewind(self, num_turns: int) -> None:
        """Forget all but so many turns."""
        del self._turns[num_turns:]

    def reset(self) -> None:
        """Forget all turns; the system message stays."""
        self._turns = []

    def set_system(self, text: str) -> None:
        """Begin anew with another system message, or with none where it is empty."""
        self._system = text.strip() or None
        self.reset()
