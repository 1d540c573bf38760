"""The tokenizer that goes with a result: the one its data was prepared with, template included."""

import json
from pathlib import Path
from typing import Any

from datasets import Dataset

from opensloth_core.data.load_tokenizer import load_tokenizer
from opensloth_core.data.render.compiled import CompiledTemplate
from opensloth_core.data.render.families import FAMILIES
from opensloth_core.data.render.spec import TemplateSpec, template_spec
from opensloth_core.models.tokenizer import copy_tokenizer
from opensloth_core.training.job import RankJob

TEMPLATE_FILE = "chat_template.jinja"

_UNITS_LOOKED_AT = 50


def save_tokenizer(job: RankJob, folder: Path) -> None:
    """Put the run's tokenizer into a folder.

    Where the tokenizer has no chat template and the data was rendered with that of the model's family, the
    result gets that one, since it is what the model was taught to answer to.
    """
    source = job.run.launch().tokenizer_folder
    copy_tokenizer(source, folder)
    tokenizer = load_tokenizer(source)
    if tokenizer.chat_template:
        return
    model_config = json.loads((source / "config.json").read_text())
    spec = template_spec(tokenizer, model_config, chats=False)
    if spec.origin == "family" and (job.config.method != "sft" or _holds_turns(job, tokenizer, spec)):
        (folder / TEMPLATE_FILE).write_text(spec.source)


def _holds_turns(job: RankJob, tokenizer: Any, spec: TemplateSpec) -> bool:
    """Whether the first packs have the header of a user's turn, as chats have and plain text has not."""
    header_ids = _user_header_ids(tokenizer, spec)
    shard = Dataset.from_file(str(job.data_dir / job.manifest.shards[0]))
    packs = shard.select(range(min(len(shard), _UNITS_LOOKED_AT)))["input_ids"]
    return any(_contains(pack, header_ids) for pack in packs)


def _user_header_ids(tokenizer: Any, spec: TemplateSpec) -> list[int]:
    """What the template writes before a user's words, from its last marker on, such as `<|im_start|>user`."""
    words = "1234567890"
    template = CompiledTemplate(spec.source, spec.special_tokens)
    before = template.render([{"role": "user", "content": words}]).partition(words)[0]
    markers = {token for family in FAMILIES if family.name == spec.family for token in family.tokens}
    header = before[max(before.rfind(marker) for marker in markers) :].rstrip()
    ids: list[int] = tokenizer(header, add_special_tokens=False)["input_ids"]
    return ids


def _contains(ids: list[int], wanted: list[int]) -> bool:
    size = len(wanted)
    return any(ids[start : start + size] == wanted for start in range(len(ids) - size + 1))
