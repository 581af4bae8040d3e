from __future__ import annotations

import pytest

from omnisrc.web.registrable import pacing_unit, unit_of_name
from omnisrc.web.urls import parse_url


@pytest.mark.parametrize(
    ("url", "unit"),
    [
        ("https://img1.example.com/a", "example.com"),
        ("http://IMG2.Example.COM.:8080/a", "example.com"),
        ("https://a.b.example.co.uk/", "example.co.uk"),
        ("https://www.city.kawasaki.jp/", "city.kawasaki.jp"),  # an exception of the list
        ("https://bilder.bücher.de/", "xn--bcher-kva.de"),
        ("https://someone.github.io/", "github.io"),  # tenants of one platform burden its machines
        ("https://bucket.s3.amazonaws.com/", "amazonaws.com"),
        ("https://1.bp.blogspot.com/", "blogspot.com"),
        ("https://co.uk/", "co.uk"),  # a suffix that answers stands for itself
        ("http://node1.cluster.unlisted/", "cluster.unlisted"),
        ("http://localhost:8000/", "localhost:8000"),
        ("http://localhost/", "localhost:80"),
        ("http://127.0.0.1:8000/", "127.0.0.1:8000"),
        ("http://0x7f.1:8000/", "127.0.0.1:8000"),
        ("http://[2a00::1]:8080/", "[2a00::1]:8080"),
    ],
)
def test_hosts_of_one_owner_are_one_unit(url: str, unit: str) -> None:
    assert parse_url(url).site == unit
    assert unit_of_name(unit) == unit, "a unit names itself"


def test_a_person_may_name_any_host_of_a_unit() -> None:
    assert unit_of_name("img1.example.com:443") == unit_of_name("img1.example.com") == "example.com"
    assert unit_of_name("box") == "box" and unit_of_name("box:80") == "box:80", "every port, and one"
    assert unit_of_name("127.0.0.1") == "127.0.0.1"
    assert pacing_unit("box", 80) == "box:80"
