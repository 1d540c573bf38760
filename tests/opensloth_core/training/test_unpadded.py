"""Rows without their padding give what padded rows give. The attention that is used needs a GPU."""

from typing import Any

import pytest
import torch

from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.training.unpadded import leave_padding_out, without_padding

pytestmark = pytest.mark.slow  # imports unsloth, whose head runs on CPUs too

LENGTHS = (9, 3, 17)
PER_TOKEN = ("log_probs", "entropy", "mean_logits", "is_top1", "label_mask")


def small_model(dtype: torch.dtype = torch.float32) -> Any:
    import unsloth  # noqa: F401  # before transformers and trl
    from transformers import LlamaConfig, LlamaForCausalLM
    from trl.trainer.utils import add_fused_lm_head

    torch.manual_seed(0)
    sizes = {"hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2, "vocab_size": 50}
    config = LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2, initializer_range=0.2)
    model = LlamaForCausalLM(config).to(dtype)
    add_fused_lm_head(model, outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    return model


def padded_rows(on_the_left: bool = False) -> dict[str, torch.Tensor]:
    """Rows whose first third is a prompt; the padding is not token 0 alone, since it must not matter."""
    rows = len(LENGTHS), max(LENGTHS)
    generator = torch.Generator().manual_seed(1)
    batch = {
        "input_ids": torch.randint(50, rows, generator=generator),
        "labels": torch.full(rows, IGNORE_INDEX),
        "attention_mask": torch.zeros(rows, dtype=torch.int64),
    }
    for row, length in enumerate(LENGTHS):
        start = max(LENGTHS) - length if on_the_left else 0
        batch["attention_mask"][row, start : start + length] = 1
        answer = slice(start + length // 3, start + length)
        batch["labels"][row, answer] = batch["input_ids"][row, answer]
    return batch


def gradients(model: Any, output: Any) -> dict[str, torch.Tensor]:
    model.zero_grad()
    (output.log_probs * torch.arange(1.0, output.log_probs.shape[1] + 1)).sum().backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters()}


@pytest.mark.parametrize("on_the_left", [False, True])
def test_all_that_the_head_gives_and_its_gradients_are_those_of_padded_rows(on_the_left: bool) -> None:
    model, batch = small_model(), padded_rows(on_the_left)
    positions = (batch["attention_mask"].cumsum(dim=1) - 1).clamp(min=0)
    padded = model(**batch, position_ids=positions, fused_lm_head=True)
    expected = gradients(model, padded)
    model.forward = without_padding(model.forward)
    joined = model(**batch, fused_lm_head=True)
    for name in PER_TOKEN:
        torch.testing.assert_close(joined[name], padded[name], atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(joined.loss, padded.loss)
    for name, gradient in gradients(model, joined).items():
        torch.testing.assert_close(gradient, expected[name], atol=1e-4, rtol=1e-4)


def test_a_row_is_computed_as_if_it_were_alone() -> None:
    model, batch = small_model(), padded_rows()
    model.forward = without_padding(model.forward)
    before = model(**batch, fused_lm_head=True).log_probs[1]
    other = batch | {"input_ids": batch["input_ids"].clone()}
    other["input_ids"][[0, 2]] = 7
    assert torch.equal(model(**other, fused_lm_head=True).log_probs[1], before)
    assert before[: LENGTHS[1] - 1].abs().sum() > 0


def test_the_first_token_of_a_row_is_nobodys_next_token() -> None:
    model, batch = small_model(), padded_rows()
    batch["labels"] = batch["input_ids"].masked_fill(batch["attention_mask"] == 0, IGNORE_INDEX)
    padded = model(**batch, fused_lm_head=True)
    model.forward = without_padding(model.forward)
    joined = model(**batch, fused_lm_head=True)
    assert int(joined.label_mask.sum()) == sum(LENGTHS) - len(LENGTHS)
    torch.testing.assert_close(joined.loss, padded.loss)


def test_other_passes_are_left_as_they_are() -> None:
    model, batch = small_model(), padded_rows()
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    model.forward = without_padding(model.forward)
    again = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits
    assert torch.equal(again, logits)
    prompt = batch["input_ids"][2:, :4]
    assert model.generate(prompt, max_new_tokens=3, do_sample=False).shape == (1, 7)


def test_a_model_whose_attention_is_not_known_to_keep_rows_apart_keeps_its_padding() -> None:
    model = small_model()
    before = model.forward
    assert not leave_padding_out(model)
    assert model.forward == before


@pytest.mark.skipif(not torch.cuda.is_available(), reason="the kernel needs a GPU")
def test_it_gives_on_a_gpu_what_padded_rows_give(tmp_path: Any) -> None:
    from unsloth import FastLanguageModel  # isort: skip
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    from trl.trainer.utils import add_fused_lm_head

    from opensloth_core.training.varlen_attention import use_varlen_attention

    use_varlen_attention()
    torch.manual_seed(0)
    sizes = {"hidden_size": 256, "intermediate_size": 512, "num_hidden_layers": 3, "vocab_size": 50}
    config = LlamaConfig(**sizes, num_attention_heads=4, num_key_value_heads=2)
    LlamaForCausalLM(config).save_pretrained(tmp_path)
    words = Tokenizer(WordLevel({str(token): token for token in range(50)}, unk_token="0"))
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="1", pad_token="2").save_pretrained(tmp_path)
    model, _ = FastLanguageModel.from_pretrained(str(tmp_path), dtype=torch.bfloat16, load_in_4bit=False)
    model = FastLanguageModel.get_peft_model(model, r=8, use_gradient_checkpointing="unsloth")
    add_fused_lm_head(model.get_base_model(), outputs=("log_probs", "entropy", "mean_logits", "is_top1"))
    batch = {name: rows.cuda() for name, rows in padded_rows().items()}
    padded = model(**batch, fused_lm_head=True)
    assert leave_padding_out(model)
    joined = model(**batch, fused_lm_head=True)
    torch.testing.assert_close(joined.log_probs, padded.log_probs, atol=5e-2, rtol=5e-2)
    assert torch.equal(joined.label_mask, padded.label_mask)
    other = batch | {"input_ids": batch["input_ids"].clone()}
    other["input_ids"][[0, 2]] = 7
    again = model(**other, fused_lm_head=True)
    assert torch.equal(again.log_probs[1], joined.log_probs[1])
    joined.loss.backward()
    assert all(weight.grad is not None for weight in model.parameters() if weight.requires_grad)
