import pytest
import torch


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """The matrices of the checks are small: on one thread they are faster, and their numbers the same."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)
