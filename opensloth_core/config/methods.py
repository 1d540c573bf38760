"""What only one training method has, and what each method takes where nothing is given."""

from dataclasses import dataclass
from typing import Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from opensloth_core.config.base import Settings
from opensloth_core.config.rewards import RewardChoice, Rewards

DpoLoss = Literal["sigmoid", "hinge", "ipo", "robust", "bco_pair", "sppo_hard", "apo_zero", "apo_down"]


class DpoArguments(Settings):
    """Direct preference optimization. Source: Rafailov et al. 2023, arXiv:2305.18290."""

    beta: PositiveFloat = 0.1
    """How strongly the policy is held to the model as given: the scale of the implicit reward."""

    loss_type: DpoLoss = "sigmoid"
    """Loss on a pair; sigmoid is the paper's."""

    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    """Share of the pairs expected to be labelled the wrong way round (loss_type robust only)."""


class GrpoArguments(Settings):
    """Group relative policy optimization. Source: Shao et al. 2024, arXiv:2402.03300."""

    reward: Rewards = (RewardChoice(name="math"),)
    """What a completion is scored by, as NAME or NAME=WEIGHT: math, format, length, exact, code, or
    package.module:function of your own; may be given several times."""

    num_generations: int = Field(default=8, ge=2)
    """Completions of one prompt, which are compared with one another."""

    max_completion_length: PositiveInt = 512
    """Longest completion in tokens; max_seq_length is for the prompt then."""

    temperature: PositiveFloat = 1.0
    """Sampling temperature of the completions."""

    top_p: float = Field(default=1.0, gt=0, le=1)
    """Share of the probability mass that completions are sampled from."""

    kl_beta: NonNegativeFloat = 0.0
    """Weight of the divergence from the model as given; 0 computes none and loads no reference."""

    constant_reward_steps: PositiveInt = 10
    """Stop when in the first so many steps no two completions of a prompt were rewarded differently, since
    nothing is learnt then; a shorter run is warned at its end."""


@dataclass(frozen=True)
class MethodDefaults:
    """What a method takes where nothing is given."""

    lora_learning_rate: float
    """Peak learning rate of an adapter."""

    full_learning_rate: float
    """Peak learning rate where all weights are trained."""

    batch_size: int | None
    """Units in a micro-batch; None is one prompt's completions."""

    def learning_rate(self, is_full: bool) -> float:
        """Peak learning rate.

        Args:
            is_full: all weights are trained.
        """
        return self.full_learning_rate if is_full else self.lora_learning_rate


METHOD_DEFAULTS = {
    "sft": MethodDefaults(2e-4, 2e-5, 2),
    "dpo": MethodDefaults(5e-6, 5e-7, 2),
    "grpo": MethodDefaults(5e-6, 1e-6, None),
}
