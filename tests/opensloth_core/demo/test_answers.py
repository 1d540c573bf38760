"""`ask` compares one model with its adapter switched off and on."""

import dataclasses
import string
from pathlib import Path

import pytest

from opensloth_core.demo.answers import Question, ask

CHAT_TEMPLATE = (
    "{% for message in messages %}<u>{{ message['content'] }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<a>{% endif %}"
)
QUESTIONS = [Question("a b c", expect_all=("b",)), Question("c", expect_any=("zebra",))]


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A Llama of a few thousand random weights over a vocabulary of thirty words."""
    import torch
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    words = ["<pad>", "<u>", "</s>", "<a>", *string.ascii_lowercase]
    backend = Tokenizer(models.WordLevel({word: id for id, word in enumerate(words)}, "<pad>"))
    backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="<pad>", eos_token="</s>", chat_template=CHAT_TEMPLATE
    )
    tokenizer.add_special_tokens({"additional_special_tokens": ["<u>", "<a>"]})
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(words),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        eos_token_id=2,
        pad_token_id=0,
    )
    model_dir = tmp_path / "model"
    LlamaForCausalLM(config).save_pretrained(model_dir)
    tokenizer.save_pretrained(model_dir)
    return model_dir


def write_adapter(model_dir: Path, adapter_dir: Path, scale: float) -> None:
    """Writes a LoRA adapter whose B matrices hold normal numbers times `scale`."""
    import torch
    from peft import LoraConfig, get_peft_model
    from transformers import AutoModelForCausalLM

    base = AutoModelForCausalLM.from_pretrained(model_dir)
    torch.manual_seed(1)
    model = get_peft_model(base, LoraConfig(r=4, target_modules="all-linear"))
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=scale)
    model.save_pretrained(adapter_dir)


@pytest.mark.slow
def test_an_adapter_of_zeros_answers_as_the_base_model(model_dir: Path, tmp_path: Path) -> None:
    write_adapter(model_dir, tmp_path / "zeros", scale=0.0)

    answers = ask(model_dir, tmp_path / "zeros", QUESTIONS)

    assert [answer.question for answer in answers] == ["a b c", "c"]
    assert [answer.before for answer in answers] == [answer.after for answer in answers]


@pytest.mark.slow
def test_before_is_the_base_model_and_after_the_adapter(model_dir: Path, tmp_path: Path) -> None:
    write_adapter(model_dir, tmp_path / "zeros", scale=0.0)
    write_adapter(model_dir, tmp_path / "loud", scale=5.0)

    base = ask(model_dir, tmp_path / "zeros", QUESTIONS)
    loud = ask(model_dir, tmp_path / "loud", QUESTIONS)

    assert [answer.before for answer in loud] == [answer.before for answer in base]
    assert all(answer.before for answer in base)
    assert [answer.after for answer in loud] != [answer.after for answer in base]
    for question, answer in zip(QUESTIONS, loud, strict=True):
        assert answer.learned_after == question.is_answered_by(answer.after)
        assert answer.learned_before == question.is_answered_by(answer.before)


def test_an_answer_cannot_be_changed() -> None:
    from opensloth_core.demo.answers import Answer

    answer = Answer("q", "before", "after", learned_before=False, learned_after=True)
    with pytest.raises(dataclasses.FrozenInstanceError):
        answer.learned_after = False
