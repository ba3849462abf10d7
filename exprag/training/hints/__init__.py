"""Hint distillation (arXiv 2510.01375): failures become hints, a teacher acts with them, a student learns without them.

    config.py     what is chosen: tasks, distiller, thresholds, k, the student's training
    selection.py  stage A: which episodes count as success or failure, and which are left out, with the reason
    writing.py    stage B: items from failures into the bank, call by call, so that a killed call goes on
    stages.py     the pipeline: each stage alone, or all in turn
    student.py    stage D: rows without hints and worked examples, and their check
    outcome.py    the report: success, score, steps and tokens by arm, and the figure
    review.py     credit: which hints were read in won and in lost episodes, and what they cost or brought
"""
