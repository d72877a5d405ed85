"""Trains a small network on handwritten digits: an ordinary script that does not import sparksweep.

It prints a ``name=value`` line for each metric and epoch, from which sparksweep reads the metrics.
"""

from __future__ import annotations

import argparse

from sklearn.datasets import load_digits
from sklearn.metrics import log_loss
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier


def main() -> None:
    """Train the network, and print its metrics after each epoch."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--learning-rate", type=float, required=True)
    parser.add_argument("--hidden-units", type=int, required=True)
    parser.add_argument("--activation", choices=["relu", "tanh"], default="relu")
    parser.add_argument("--epochs", type=int, default=10)
    arguments = parser.parse_args()

    images, labels = load_digits(return_X_y=True)
    x_train, x_valid, y_train, y_valid = train_test_split(
        images / 16, labels, test_size=0.25, random_state=7, stratify=labels
    )
    model = MLPClassifier(
        hidden_layer_sizes=(arguments.hidden_units,),
        activation=arguments.activation,
        learning_rate_init=arguments.learning_rate,
        batch_size=32,
        random_state=7,
    )
    for epoch in range(1, arguments.epochs + 1):
        model.partial_fit(x_train, y_train, classes=range(10))
        print(f"epoch {epoch}")
        print(f"accuracy={model.score(x_valid, y_valid):.4f}")
        print(f"loss={log_loss(y_valid, model.predict_proba(x_valid)):.4f}", flush=True)


if __name__ == "__main__":
    main()
