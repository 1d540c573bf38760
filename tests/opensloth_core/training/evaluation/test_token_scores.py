import pytest
import torch
from transformers import (
    CohereConfig,
    CohereForCausalLM,
    Gemma2Config,
    Gemma2ForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    GraniteConfig,
    GraniteForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
)

from opensloth_core.data.units import IGNORE_INDEX
from opensloth_core.errors import ModelError
from opensloth_core.training.evaluation.token_scores import token_scores

VOCAB = 50
SMALL = {
    "vocab_size": VOCAB,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
}
MODELS = {
    "llama": lambda: LlamaForCausalLM(LlamaConfig(**SMALL)),
    "gemma 2, soft-capped": lambda: Gemma2ForCausalLM(
        Gemma2Config(**SMALL, head_dim=8, final_logit_softcapping=0.5)
    ),
    "granite, divided": lambda: GraniteForCausalLM(GraniteConfig(**SMALL, logits_scaling=0.1)),
    "cohere, multiplied": lambda: CohereForCausalLM(CohereConfig(**SMALL, logit_scale=20.0)),
    "gpt 2, with another decoder's name": lambda: GPT2LMHeadModel(
        GPT2Config(vocab_size=VOCAB, n_embd=16, n_layer=2, n_head=2)
    ),
}
INPUT_IDS = torch.tensor([[5, 6, 7, 8, 9, 10], [11, 12, 13, 14, 0, 0]])
MASK = torch.tensor([[1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 0, 0]])
IGNORED = IGNORE_INDEX
# The label of a row's first token is never used; row 0 has three scored tokens, row 1 one.
LABELS = torch.tensor([[5, IGNORED, 7, 8, IGNORED, 10], [IGNORED, IGNORED, IGNORED, 14, IGNORED, IGNORED]])
SCORED = [(0, 2), (0, 3), (0, 5), (1, 3)]


def model_of(name: str) -> PreTrainedModel:
    torch.manual_seed(1)
    model: PreTrainedModel = MODELS[name]().eval()
    with torch.no_grad():
        for weight in model.parameters():
            weight.mul_(3)  # so that logits differ, and their scale matters
    return model


def inputs() -> dict[str, torch.Tensor]:
    return {"input_ids": INPUT_IDS, "attention_mask": MASK}


@pytest.mark.parametrize("name", MODELS)
@torch.no_grad()
def test_scores_are_those_of_the_model_s_own_logits(name: str) -> None:
    model = model_of(name)
    logits = model(**inputs()).logits.double()
    expected = [logits[row, at - 1].log_softmax(-1)[INPUT_IDS[row, at]].item() for row, at in SCORED]
    top = [logits[row, at - 1].argmax().item() == INPUT_IDS[row, at] for row, at in SCORED]
    found = token_scores(model, inputs(), LABELS)
    assert found.log_probs.tolist() == pytest.approx(expected, abs=1e-5)
    assert found.is_top.tolist() == top
    assert found.row.tolist() == [0, 0, 0, 1]


@torch.no_grad()
def test_the_number_of_tokens_at_once_changes_nothing_and_is_kept() -> None:
    model = model_of("gemma 2, soft-capped")
    sizes: list[int] = []
    head = model.get_output_embeddings()
    head.register_forward_hook(lambda _, args, __: sizes.append(args[0].shape[0] * args[0].shape[1]))
    together = token_scores(model, inputs(), LABELS)
    assert max(sizes) == 4
    sizes.clear()
    by_two = token_scores(model, inputs(), LABELS, max_logits=2 * VOCAB + 49)
    # One position of each row to run the decoder, then two tokens at a time.
    assert sizes == [2, 2, 2]
    torch.testing.assert_close(by_two.log_probs, together.log_probs, rtol=0, atol=1e-6)
    assert by_two.is_top.tolist() == together.is_top.tolist()


@torch.no_grad()
def test_rows_without_labels_have_no_scores() -> None:
    found = token_scores(model_of("llama"), inputs(), torch.full_like(LABELS, IGNORED))
    assert found.log_probs.tolist() == [] and found.row.tolist() == []


@torch.no_grad()
def test_the_model_runs_as_before_afterwards() -> None:
    model = model_of("llama")
    before = model(**inputs()).logits
    token_scores(model, inputs(), LABELS)
    assert torch.equal(model(**inputs()).logits, before)
    assert "forward" not in vars(model.base_model)


def test_a_model_that_is_one_piece_is_refused_by_name() -> None:
    decoder = model_of("llama").base_model
    with pytest.raises(ModelError, match="LlamaModel: cannot be evaluated"):
        token_scores(decoder, inputs(), LABELS)
