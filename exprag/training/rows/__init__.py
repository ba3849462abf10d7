"""Training rows from traces: see `exprag.training.rows.build` for how they are made, `row` for their columns."""
