"""`--tmux`: a run that lives in a tmux session."""
