"""Models of an objective, fitted to finished trials: Kriging, quadratic models, and what they expect to gain."""
