"""What a tiny Llama with an adapter keeps in Unsloth, as JSON: run by a test in a process of its own.

python -m tests.opensloth_core.plan.saved_by_unsloth MODEL_DIR RANK
"""

import json
import sys

import unsloth  # noqa: F401  # isort: skip  # before torch's and transformers' own
import torch

TOKENS = (64, 128)


def main(model_dir: str, rank: int) -> None:
    """Count weights, gradients, optimizer state, and bytes that autograd saves for two lengths."""
    from unsloth import FastLanguageModel

    targets = ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"]
    model, _ = FastLanguageModel.from_pretrained(
        model_name=model_dir, max_seq_length=256, dtype=torch.float32, load_in_4bit=False,
        use_gradient_checkpointing=False, device_map={"": "cpu"},
    )  # fmt: skip
    found = {"weights": sum(weight.numel() for weight in model.parameters())}
    model = FastLanguageModel.get_peft_model(
        model, r=rank, lora_alpha=2 * rank, target_modules=targets, use_gradient_checkpointing=False
    )
    model.train()
    saved = [saved_bytes(model, length) for length in TOKENS]
    trained = [weight for weight in model.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(trained)
    optimizer.step()
    states = [one for state in optimizer.state.values() for one in state.values() if one.dim()]
    found |= {
        "adapter": sum(weight.numel() for weight in trained),
        "adapter_bytes": sum(weight.nbytes for weight in trained),
        "gradient_bytes": sum(weight.grad.nbytes for weight in trained),
        "optimizer_bytes": sum(state.nbytes for state in states),
        "saved_bytes_a_token": (saved[1] - saved[0]) / (TOKENS[1] - TOKENS[0]),
    }
    print(json.dumps(found))


def saved_bytes(model: torch.nn.Module, length: int) -> int:
    """Bytes that wait for the backward pass, weights left out, each storage once; runs that pass too."""
    weights = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    storages: dict[int, int] = {}
    kept = []

    def pack(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            storages[storage.data_ptr()] = storage.nbytes()
            kept.append(tensor)  # so that no other gets its address
        return tensor

    ids = torch.arange(3, 3 + length)[None]
    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model(input_ids=ids, labels=ids).loss
    loss.backward()
    return sum(storages.values())


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
