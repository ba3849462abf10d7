STEP_LIMITS: dict[str, int] = {}
