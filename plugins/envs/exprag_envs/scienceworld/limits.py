"""How many steps an agent gets, by task type: the ExpRAG paper says 50 to 150 by task, and not how.

Our rule: twice the median length of the gold path up to its win, rounded up to tens, kept within 50 and 150. Measured with
scienceworld 1.2.3 over the first five train and first two test variations of each type. Where a gold path is longer than
the limit (named in docs/environments/scienceworld.md), collect the expert with its own, higher limit.
"""

# type → limit, with the shortest and longest gold path measured
STEP_LIMITS: dict[str, int] = {
    "boil": 80,  # 29-160
    "melt": 90,  # 16-106
    "freeze": 70,  # 22-121
    "change-the-state-of-matter-of": 70,  # 16-106
    "use-thermometer": 50,  # 13-23
    "measure-melting-point-known-substance": 60,  # 18-30
    "measure-melting-point-unknown-substance": 150,  # 31-95
    "power-component": 50,  # 6-13
    "power-component-renewable-vs-nonrenewable-energy": 50,  # 9-28
    "test-conductivity": 50,  # 14-32
    "test-conductivity-of-unknown-substances": 50,  # 18-32
    "find-living-thing": 50,  # 6-16
    "find-non-living-thing": 50,  # 3-11
    "find-plant": 50,  # 10-12
    "find-animal": 50,  # 6-16
    "grow-plant": 80,  # 35-42
    "grow-fruit": 150,  # 70-92
    "chemistry-mix": 50,  # 15-24
    "chemistry-mix-paint-secondary-color": 50,  # 6-26
    "chemistry-mix-paint-tertiary-color": 50,  # 13-32
    "lifespan-longest-lived": 50,  # 1-7
    "lifespan-shortest-lived": 50,  # 1-7
    "lifespan-longest-lived-then-shortest-lived": 50,  # 2-8
    "identify-life-stages-1": 80,  # 25-40
    "identify-life-stages-2": 50,  # 8-15
    "inclined-plane-determine-angle": 150,  # 54-96
    "inclined-plane-friction-named-surfaces": 110,  # 50-110
    "inclined-plane-friction-unnamed-surfaces": 150,  # 177-205
    "mendelian-genetics-known-plant": 150,  # 142-147
    "mendelian-genetics-unknown-plant": 150,  # 142-147
}
