"""Model-assisted differential evolution: an advisor that proposes points with models of the ended trials."""
