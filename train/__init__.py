"""Train the twin network: data, batches, augmentation, model, loop, evaluation. Run it with `python -m train`."""
