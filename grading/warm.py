"""What every worker needs, loaded. Workers on one machine are forks of a process that has imported this."""

import gc

gc.disable()  # collections while modules load cost much and find nothing

import distributed  # noqa: E402, F401

import grading.grade  # noqa: E402, F401

gc.freeze()  # nor will they later
gc.enable()
