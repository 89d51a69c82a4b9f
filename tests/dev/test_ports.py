from __future__ import annotations

import socket
from random import Random

from imagint_dev import ports


def seeded() -> Random:
    return Random(1)  # noqa: S311 - ports need no secrecy


def test_each_name_gets_a_port_of_its_own() -> None:
    chosen = ports.choose({}, seeded(), lambda _: True)
    assert set(chosen) == set(ports.NAMES)
    assert len(set(chosen.values())) == len(chosen)


def test_a_port_that_is_still_free_is_kept() -> None:
    kept = {"api": 23456, "vault": 23457}
    chosen = ports.choose(kept, seeded(), lambda _: True)
    assert {name: chosen[name] for name in kept} == kept


def test_a_port_that_somebody_took_is_replaced() -> None:
    chosen = ports.choose({"api": 23456}, seeded(), lambda port: port != 23456)
    assert chosen["api"] != 23456


def test_a_name_of_an_older_version_is_forgotten() -> None:
    assert "gone" not in ports.choose({"gone": 23456}, seeded(), lambda _: True)


def test_a_port_with_a_listener_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        assert not ports.is_free(taken.getsockname()[1])


def test_a_port_bound_on_all_addresses_is_not_free() -> None:
    with socket.socket() as taken:
        taken.bind(("0.0.0.0", 0))  # noqa: S104 - somebody else's careless server
        taken.listen()
        assert not ports.is_free(taken.getsockname()[1])
