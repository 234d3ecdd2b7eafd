"""The training objective: one small named thing per term."""
