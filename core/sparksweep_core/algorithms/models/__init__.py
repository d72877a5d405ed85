"""Models of an objective, fitted to finished trials: Kriging and quadratic models, and the expected improvement."""
