"""Asks the demo's held-out questions before and after training, with plain transformers and PEFT.

Run as a module it is the fresh process that proves the saved adapter works on its own:
`python -m opensloth_core.demo.answers MODEL_DIR ADAPTER_DIR` prints one JSON object a question on
stdout and nothing else there.
"""

import argparse
import dataclasses
import importlib.resources
import json
from pathlib import Path
from typing import TYPE_CHECKING

from opensloth_core.errors import DataError

if TYPE_CHECKING:
    from peft import PeftModel
    from transformers import PreTrainedTokenizerBase

# The trained answers have 20 tokens at most; the base model, which rambles, is cut here.
MAX_NEW_TOKENS = 32


@dataclasses.dataclass(frozen=True)
class Question:
    """A held-out question and the words that show the trained fact in an answer.

    An answer is right if its lower-cased text holds every string of `expect_all` and, where
    `expect_any` is not empty, at least one string of it. The strings are lower case.
    """

    text: str
    expect_all: tuple[str, ...] = ()
    expect_any: tuple[str, ...] = ()

    def is_answered_by(self, answer: str) -> bool:
        """Whether `answer` holds the trained fact."""
        answer = answer.lower()
        has_all = all(words in answer for words in self.expect_all)
        has_any = not self.expect_any or any(words in answer for words in self.expect_any)
        return has_all and has_any


@dataclasses.dataclass(frozen=True)
class Answer:
    """What the model says to one question without and with the adapter."""

    question: str
    before: str
    after: str
    learned_before: bool
    learned_after: bool


def held_out_questions() -> list[Question]:
    """The 20 questions that come with the project, in the file's order.

    Raises:
        DataError: A line is not `{"question": …, "expect": {"all": […], "any": […]}}`.
    """
    source = importlib.resources.files("opensloth_core.demo") / "questions.jsonl"
    lines = source.read_text(encoding="utf-8").splitlines()
    return [_parse_question(line, f"{source}:{number}") for number, line in enumerate(lines, 1)]


def _parse_question(line: str, place: str) -> Question:
    """The question on one line of `questions.jsonl`."""
    row = json.loads(line)
    expect = row.get("expect", {})
    if not row.get("question") or not expect or set(expect) - {"all", "any"}:
        raise DataError(
            f"{place}: not a question: {line}. "
            'Write {"question": "…", "expect": {"all": ["…"]}} or {"any": […]}.'
        )
    return Question(
        text=row["question"],
        expect_all=tuple(expect.get("all", ())),
        expect_any=tuple(expect.get("any", ())),
    )


def ask(model_dir: Path, adapter_dir: Path, questions: list[Question]) -> list[Answer]:
    """Greedy answers to `questions` from the model in `model_dir`, without and with the adapter.

    Both come from one loaded model, on the CPU: before is the same model with the adapter
    switched off. Unsloth is not involved, so the answers are those any other program would get.
    """
    import torch
    from peft import PeftModel
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(model_dir, padding_side="left")
    # float32 is fast on every CPU; bfloat16 is emulated on those without it.
    base = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    model = PeftModel.from_pretrained(base, adapter_dir).eval()

    with model.disable_adapter():
        before = _greedy_answers(model, tokenizer, questions)
    after = _greedy_answers(model, tokenizer, questions)
    return [
        Answer(
            question=question.text,
            before=text_before,
            after=text_after,
            learned_before=question.is_answered_by(text_before),
            learned_after=question.is_answered_by(text_after),
        )
        for question, text_before, text_after in zip(questions, before, after, strict=True)
    ]


def _greedy_answers(
    model: "PeftModel", tokenizer: "PreTrainedTokenizerBase", questions: list[Question]
) -> list[str]:
    """One greedy answer a question, generated as one left-padded batch."""
    import torch

    batch = tokenizer.apply_chat_template(
        [[{"role": "user", "content": question.text}] for question in questions],
        add_generation_prompt=True,
        padding=True,
        return_tensors="pt",
        return_dict=True,
    )
    with torch.inference_mode():
        output_ids_BT = model.generate(**batch, do_sample=False, max_new_tokens=MAX_NEW_TOKENS)
    num_prompt_tokens = batch["input_ids"].shape[1]
    texts = tokenizer.batch_decode(output_ids_BT[:, num_prompt_tokens:], skip_special_tokens=True)
    return [text.strip() for text in texts]


def _main() -> None:
    """Prints the answers as JSON lines."""
    parser = argparse.ArgumentParser(prog="python -m opensloth_core.demo.answers")
    parser.add_argument("model_dir", type=Path, help="folder of the base model")
    parser.add_argument("adapter_dir", type=Path, help="folder of the trained adapter")
    args = parser.parse_args()
    for answer in ask(args.model_dir, args.adapter_dir, held_out_questions()):
        print(json.dumps(dataclasses.asdict(answer), ensure_ascii=False))


if __name__ == "__main__":
    _main()
