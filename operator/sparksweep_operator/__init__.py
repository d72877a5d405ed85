"""The operator: the search and the planner (pure), and the shell around them."""
