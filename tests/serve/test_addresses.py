"""Who may reach a served pfviz: addresses, and the names that a browser asks by."""

from __future__ import annotations

import pytest

from pfviz.serve.addresses import AddressError, Names, is_loopback, listen, resolved


@pytest.mark.parametrize("address", ["127.0.0.1", "127.8.9.1", "::1", "::ffff:127.0.0.1"])
def test_what_only_this_machine_reaches(address: str) -> None:
    assert is_loopback(address)


@pytest.mark.parametrize(
    "address",
    ["0.0.0.0", "::", "192.168.1.7", "::ffff:10.0.0.1", "fe80::1%eth0", "2001:db8::1", "x"],
)
def test_what_others_reach_too(address: str) -> None:
    assert not is_loopback(address)


def test_a_name_is_judged_by_its_addresses() -> None:
    assert all(is_loopback(one) for one in resolved("localhost"))
    assert not all(is_loopback(one) for one in resolved("0.0.0.0"))
    with pytest.raises(AddressError, match="has no address"):
        resolved("no such name.invalid")


def test_all_sockets_have_one_port() -> None:
    opened = listen(("127.0.0.1", "127.0.0.2"), 0)
    ports = {one.getsockname()[1] for one in opened}
    assert len(ports) == 1
    with pytest.raises(AddressError, match="cannot be listened on: Address already in use"):
        listen(("127.0.0.1",), ports.pop())
    for one in opened:
        one.close()


OURS = Names.of("127.0.0.1", 8000, "https://faults.example/")


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("127.0.0.1:8000", True),
        ("localhost:8000", True),
        ("LOCALHOST:8000", True),
        ("[::1]:8000", True),
        ("evil.example:8000", False),  # A stranger's name that leads to 127.0.0.1.
        ("localhost.evil.example:8000", False),
        ("localhost:8001", False),
        ("localhost", False),
        ("192.168.1.7:8000", False),
        ("user@localhost:8000", False),
        ("", False),
        ("[::1", False),
        ("localhost:port", False),
    ],
)
def test_a_browser_must_ask_by_one_of_our_names(header: str, known: bool) -> None:
    assert OURS.knows_host(header) is known


@pytest.mark.parametrize(
    ("header", "known"),
    [
        ("http://localhost:8000", True),
        ("https://faults.example", True),
        ("http://evil.example", False),
        ("http://evil.example:8000", False),
        ("http://localhost", False),
        ("null", False),
        ("", False),
        ("http://localhost:8000@evil.example", False),
    ],
)
def test_only_our_own_page_may_connect(header: str, known: bool) -> None:
    assert OURS.knows_origin(header) is known


def test_an_exposed_pfviz_goes_by_its_bare_addresses_too() -> None:
    exposed = Names.of("0.0.0.0", 8000, exposed=True)
    assert exposed.knows_host("192.168.1.7:8000")
    assert exposed.knows_origin("http://192.168.1.7:8000")
    assert not exposed.knows_origin("http://192.168.1.7:9000")
    assert not exposed.knows_host("evil.example:8000")
