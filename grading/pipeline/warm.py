"""What processes that grade need, loaded: on one machine they are forks of one that has imported this."""

from grading import loading

with loading():
    import torch

    from grading.judge.judge import examine
    from grading.judge.registry import find_check

    torch.set_num_threads(1)  # threads would be lost in a fork
    # The first draw of cases, the first gradient and the first mistake take long: they are done here for all.
    examine("MultiplicativeScore", find_check("dot_score").reference)
