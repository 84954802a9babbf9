"""Draws under a seed are the seed's alone, whoever else draws meanwhile."""

import threading
import time

import torch

from explorer.rng import seeded


def drawn(seed, pause=0.0):
    numbers = []
    with seeded(seed):
        for _ in range(20):
            numbers.append(torch.randn(3))
            time.sleep(pause)  # lets another thread draw, if anything does
    return torch.stack(numbers)


def test_a_seed_says_everything():
    assert torch.equal(drawn(5), drawn(5))
    assert not torch.equal(drawn(5), drawn(6))


def test_the_stream_outside_goes_on_as_if_nothing_had_been():
    torch.manual_seed(0)
    plain = torch.randn(4)
    torch.manual_seed(0)
    first = torch.randn(2)
    drawn(1)
    assert torch.equal(torch.cat([first, torch.randn(2)]), plain)


def test_it_nests_and_survives_an_error():
    with seeded(1):
        before = torch.randn(3)
        try:
            with seeded(2):
                raise KeyError
        except KeyError:
            after = torch.randn(3)
    with seeded(1):
        assert torch.equal(torch.randn(6), torch.cat([before, after]))


def test_many_threads_draw_as_each_would_alone():
    alone = [drawn(seed) for seed in range(6)]
    together: dict[int, torch.Tensor] = {}
    gate = threading.Barrier(6)

    def work(seed):
        gate.wait()
        together[seed] = drawn(seed, pause=0.001)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(torch.equal(together[seed], alone[seed]) for seed in range(6))
