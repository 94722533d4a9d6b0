"""What the notebooks import: data, text, models, training, metrics, plotting."""
