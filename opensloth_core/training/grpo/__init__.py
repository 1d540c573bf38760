"""Group relative policy optimization: sample completions, score them, learn from the differences.

Source: Shao et al. 2024, arXiv:2402.03300. TRL's trainer runs the loop, the optimizer and the log; what
decides the result (sampling, scoring, advantages, loss) is here, so that it is the same and is tested on
every device, also where Unsloth replaces the inside of TRL's trainer.
"""
