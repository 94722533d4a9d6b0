"""One folder per exercise.

`checks.py` draws the cases of each function and says what its outputs are; its constant TRAINS says whether
the notebook trains a model, which takes minutes instead of seconds. `mistakes.py` is the bank of
known mistakes. `harness.py` calls an answer that needs more than its arguments: each of its functions is
called as `function(answer, *inputs, *library)` and returns the outputs as tensors or plain data. It runs
beside the answer, in a process that the student's code can change. So it knows nothing of what is right and
decides nothing: the judge makes what it compares of plain results, see `read` in `grading.judge.registry`.
"""
