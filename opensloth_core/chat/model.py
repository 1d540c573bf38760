"""A trained model that answers, loaded with plain transformers and PEFT as any other program would."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from opensloth_core.errors import ConfigError, ModelError
from opensloth_core.models.start import StartFolders

Message = dict[str, str]
Device = Literal["auto", "cpu", "cuda"]


@dataclass(frozen=True)
class Sampling:
    """How an answer is drawn."""

    temperature: float
    """0 takes the likeliest token each time."""

    max_tokens: int


@dataclass(frozen=True)
class Answer:
    """What a model said."""

    text: str
    num_tokens: int
    is_cut: bool
    """Whether it came to no end of its own within the most tokens it may have."""


class ChatModel:
    """A model with its tokenizer; with an adapter, both what it says with and without it."""

    def __init__(self, model: Any, tokenizer: Any, stops: list[int], has_adapter: bool) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._stops = stops
        self.has_adapter = has_adapter

    @classmethod
    def load(cls, start: StartFolders, device: Device = "auto") -> "ChatModel":
        """Load model, adapter and tokenizer: on a GPU where there is one, else in float32 on the CPU.

        Raises:
            ConfigError: there is no GPU, or not enough memory.
            ModelError: the model cannot be loaded, its tokenizer has no chat template, or an adapter does
                not fit.
        """
        import torch
        from peft import PeftModel
        from transformers import AutoModelForCausalLM

        from opensloth_core.data.load_tokenizer import load_tokenizer
        from opensloth_core.models.loaded import check_all_loaded
        from opensloth_core.training.result_model import turn_end_id

        tokenizer = load_tokenizer(start.tokenizer_dir)
        if not tokenizer.chat_template:
            raise ModelError(f"{start.tokenizer_dir}: the tokenizer has no chat template, so nobody can chat")
        place = _place(device)
        # float32 is fast on every CPU; bfloat16 is emulated on those without it.
        dtype = torch.float32 if place == "cpu" else "auto"
        try:
            model = AutoModelForCausalLM.from_pretrained(
                start.model_dir, dtype=dtype, trust_remote_code=False, use_safetensors=True
            )
            if start.adapter_dir is not None:
                model = PeftModel.from_pretrained(model, start.adapter_dir, use_safetensors=True)
                check_all_loaded(model, start.adapter_dir)
            model = model.to(place).eval()
        except torch.OutOfMemoryError as err:
            raise ConfigError(
                f"{place}: not enough memory for the model; free some, or give --device cpu"
            ) from err
        except ModelError:
            raise
        # transformers raises a dozen types, from its own tree and others', for one cause.
        except Exception as err:
            cause = (str(err).strip().splitlines() or [type(err).__name__])[0].rstrip(".")
            raise ModelError(f"{start.model_dir}: cannot be loaded: {cause}") from err
        own = model.generation_config.eos_token_id
        stops = [*(own if isinstance(own, list) else [own]), tokenizer.eos_token_id, turn_end_id(tokenizer)]
        known = sorted({stop for stop in stops if stop is not None})
        return cls(model, tokenizer, known, start.adapter_dir is not None)

    def answer(
        self,
        messages: list[Message],
        sampling: Sampling,
        on_text: Callable[[str], None] = lambda text: None,
        without_adapter: bool = False,
    ) -> Answer:
        """The next turn of a conversation.

        Args:
            messages: role and content of each turn, the last one the user's.
            on_text: called with each piece of the answer as it comes.
            without_adapter: answer as the base model does.

        Raises:
            ConfigError: the conversation is too long for the model, or for the GPU's memory.
            ModelError: the chat template does not take these turns.
        """
        import torch

        prompt = self._prompt(messages)
        num_prompt = int(prompt["input_ids"].shape[1])
        room = self._room(num_prompt)
        draw = {"do_sample": True, "temperature": sampling.temperature} if sampling.temperature else {}
        try:
            with torch.inference_mode(), self._adapter_off() if without_adapter else nullcontext():
                output_ids_BT = self._model.generate(
                    **prompt.to(self._model.device),
                    **{"do_sample": False, "temperature": None, "top_p": None, "top_k": None, **draw},
                    max_new_tokens=min(sampling.max_tokens, room),
                    eos_token_id=self._stops,
                    pad_token_id=self._tokenizer.pad_token_id or self._stops[0],
                    streamer=self._streamer(on_text),
                )
        except torch.OutOfMemoryError as err:
            raise ConfigError(
                f"the conversation has {num_prompt:,} tokens, for which {self._model.device} has not enough "
                "memory; free some, or give --device cpu"
            ) from err
        answer_T = output_ids_BT[0, num_prompt:]
        return Answer(
            text=str(self._tokenizer.decode(answer_T, skip_special_tokens=True)).strip(),
            num_tokens=len(answer_T),
            is_cut=int(answer_T[-1]) not in self._stops,
        )

    def _prompt(self, messages: list[Message]) -> Any:
        from jinja2 import TemplateError

        try:
            return self._tokenizer.apply_chat_template(
                messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
            )
        except TemplateError as err:
            raise ModelError(f"the model's chat template does not take this conversation: {err}") from err

    def _room(self, num_prompt: int) -> int:
        longest = getattr(self._model.config, "max_position_embeddings", None)
        if longest is not None and num_prompt >= longest:
            raise ConfigError(f"the conversation has {num_prompt:,} tokens and the model takes {longest:,}")
        return int(longest - num_prompt) if longest is not None else 1 << 30

    def _streamer(self, on_text: Callable[[str], None]) -> Any:
        from transformers import TextStreamer

        class _Streamer(TextStreamer):
            def on_finalized_text(self, text: str, stream_end: bool = False) -> None:
                if text:
                    on_text(text)

        return _Streamer(self._tokenizer, skip_prompt=True, skip_special_tokens=True)

    @contextmanager
    def _adapter_off(self) -> Iterator[None]:
        if not self.has_adapter:
            raise ConfigError("base: a whole model has no base to compare with")
        with self._model.disable_adapter():
            yield


def base_folders(folders: StartFolders, trained_from: Path) -> StartFolders:
    """What a whole model was trained from, to compare with."""
    return StartFolders(trained_from, folders.tokenizer_dir, None, str(trained_from))


def _place(device: Device) -> str:
    """The device a model goes to; of several GPUs the one with most free memory."""
    import torch

    if device == "cpu" or (device == "auto" and not torch.cuda.is_available()):
        return "cpu"
    if not torch.cuda.is_available():
        raise ConfigError("device cuda: no GPU here; drop it, or give cpu")
    free = [torch.cuda.mem_get_info(number)[0] for number in range(torch.cuda.device_count())]
    return f"cuda:{free.index(max(free))}"
