"""Hint distillation (arXiv 2510.01375): failures become hints, a teacher acts with them, a student learns without them.

    config.py     what is chosen: tasks, distiller, thresholds, k, the student's training
    selection.py  stage A: which episodes count as success or failure, and which are left out, with the reason
    writing.py    stage B: items from failures, call by call, so that a killed stage goes on
    stages.py     the pipeline: each stage alone, or all in turn
    student.py    stage D: the check that rows hold neither hints nor worked examples
    outcome.py    the report: success, score, steps and tokens by arm, and the figure
    memories.py   several kinds of memory from the same episodes, compared at an equal token budget
    arrivals.py   the order in which the tasks of a stream come
    streams.py    tasks that arrive in an order while the memory grows, beside an agent without memory
    playing.py    what these pipelines share: settings that stay with a folder, runs of named tasks
    review.py     credit: in which won and lost episodes a hint was read, and what became of the same tasks without it

Uses runs, training and evaluation; of these rooms none uses it.
"""
