"""What runs inside a rank's process: model, data feed, trainer, metrics."""
