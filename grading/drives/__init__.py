"""Ways to call an answer that need more than its arguments: one module an exercise.

A drive is `drive(answer, *inputs, *library)`; it returns the outputs as tensors or plain data. It runs
beside the answer and knows nothing of what is right.
"""
