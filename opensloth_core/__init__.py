"""The nouns of OpenSloth: configuration, data, store, training. Works without an orchestrator."""
