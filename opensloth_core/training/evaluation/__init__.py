"""How good the policy is on rows held out, and what it answers before and after training."""
