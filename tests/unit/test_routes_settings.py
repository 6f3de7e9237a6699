"""The keys of routes.yaml that say how much the listener and the upstreams may take, and how they speak TLS."""

from __future__ import annotations

import pytest

from strangler.routes import (
    WHOLE,
    Faults,
    ListenerTls,
    Table,
    Timeouts,
    Upstream,
    UpstreamTls,
    parse,
    set_value,
)


def table(
    top: str = "", upstream: str = "url: http://a", folder: str = "", file: str = "routes.yaml"
) -> Table:
    text = f"version: 1\n{top}\nupstreams: {{a: {{{upstream}}}}}\nlegacy: a\n"
    return parse(text.encode(), file=file, check_rule=lambda _: None, folder=folder)


def upstream(text: str, folder: str = "") -> Upstream:
    return table(upstream=text, folder=folder).upstreams["a"]


def fault(top: str = "", upstream: str = "url: http://a", **given: str) -> str:
    with pytest.raises(Faults) as caught:
        table(top, upstream, **given)
    (found,) = caught.value.faults
    return found.message


def test_one_timeout_is_the_longest_silence_and_bounds_what_comes_before_it() -> None:
    quick = upstream("url: http://a, timeout: 2s").timeouts
    assert quick == Timeouts(connect=2, wait=2, first_byte=2, idle=2, total=None, tunnel=600)
    slow = upstream("url: http://a, timeout: 1m").timeouts
    assert slow == Timeouts(connect=5, wait=5, first_byte=60, idle=60, total=None, tunnel=600)


def test_a_timeout_by_name_leaves_the_others_at_their_defaults() -> None:
    assert upstream("url: http://a, timeout: {first_byte: 2s}").timeouts == Timeouts(first_byte=2)
    assert upstream("url: http://a, timeout: {}").timeouts == Timeouts()


def test_only_the_whole_exchange_may_take_for_ever() -> None:
    assert upstream("url: http://a, timeout: {total: none}").timeouts.total is None
    assert upstream("url: http://a, timeout: {total: 1h}").timeouts.total == 3600
    assert "none" in fault(upstream="url: http://a, timeout: {idle: none}")


@pytest.mark.parametrize(
    ("url", "host", "port", "secure"),
    [
        ("http://a", "a", 80, False),
        ("https://a", "a", 443, True),
        ("HTTPS://A/", "a", 443, True),
        ("https://a:80", "a", 80, True),
        ("https://[::1]:8443", "::1", 8443, True),
        ("https://[::1]", "::1", 443, True),
    ],
)
def test_the_scheme_decides_the_port_and_whether_tls_is_spoken(
    url: str, host: str, port: int, secure: bool
) -> None:
    found = upstream(f"url: '{url}'")
    assert (found.host, found.port) == (host, port)
    assert found.tls == (UpstreamTls() if secure else None)


def test_the_system_is_trusted_and_certificates_are_checked_unless_the_file_says_otherwise() -> None:
    assert upstream("url: https://a, tls: {}").tls == UpstreamTls(verify=True, line=3)
    assert upstream("url: https://a, tls: {verify: false, name: 10.0.0.1}").tls == UpstreamTls(
        verify=False, name="10.0.0.1", line=3
    )


@pytest.mark.parametrize(
    ("name", "read"),
    [("Payments.Internal", "payments.internal"), ("10.1.2.3", "10.1.2.3"), ("'0:0::1'", "::1")],
)
def test_a_certificate_is_for_a_name_or_an_address(name: str, read: str) -> None:
    found = upstream(f"url: https://a, tls: {{name: {name}}}").tls
    assert found is not None
    assert found.name == read


@pytest.mark.parametrize(
    "name", ["a:443", "'[::1]'", "'::1%eth0'", "'*.a'", "a..b", "'-'", "'a b'", "é.fr", "b" * 64, "'a\\0'"]
)
def test_what_no_certificate_is_for_is_a_fault(name: str) -> None:
    assert fault(upstream=f"url: https://a, tls: {{name: {name}}}").startswith("name ")


def test_places_are_those_of_the_keys() -> None:
    text = b"""\
version: 1
tls:
  # renewed by a timer
  certificate: a
  key: b
upstreams:
  a:
    url: https://a
    tls:

      verify: false
legacy: a
"""
    found = parse(text, file="f", check_rule=lambda _: None)
    assert found.tls == ListenerTls("a", "b", line=2)
    assert found.upstreams["a"].tls == UpstreamTls(verify=False, line=9)


def test_relative_paths_begin_in_the_folder_of_the_file() -> None:
    top = "tls: {certificate: certs/a.pem, key: /etc/a.key}\naccess_log: ../access.jsonl"
    secure = "url: https://a, tls: {ca: ca.pem, certificate: ./me.pem, key: /me.key}"
    found = table(top, secure, folder="/srv/proxy")
    assert found.tls == ListenerTls("/srv/proxy/certs/a.pem", "/etc/a.key", line=2)
    assert found.access_log == "/srv/proxy/../access.jsonl"  # as it stands: `..` of a link is another folder
    tls = found.upstreams["a"].tls
    assert tls is not None
    assert (tls.ca, tls.certificate, tls.key) == ("/srv/proxy/ca.pem", "/srv/proxy/./me.pem", "/me.key")


def test_a_folder_whose_name_is_no_text_is_a_folder() -> None:
    assert table("access_log: a", folder="/srv/\udcff").access_log == "/srv/\udcff/a"


def test_the_access_log_is_a_file_or_the_standard_output_or_none() -> None:
    assert table("access_log: none", folder="/srv").access_log is None
    assert table("access_log: stdout", folder="/srv").access_log == "stdout"
    assert table("access_log: ./stdout", folder="/srv").access_log == "/srv/./stdout"


@pytest.mark.parametrize("path", ["routes.yaml", "./routes.yaml", "../srv/routes.yaml", "/srv/routes.yaml"])
def test_the_routes_file_is_no_place_for_the_access_log(path: str) -> None:
    for file in ("routes.yaml", "srv/routes.yaml", "/srv/routes.yaml"):
        said = fault(f"access_log: {path}", folder="/srv", file=file)
        assert said == "access_log is the routes file itself"


@pytest.mark.parametrize("word", ["off", "null", "~", "'-'", "None", "false"])
@pytest.mark.parametrize("key", ["access_log", "trace"])
def test_other_words_for_none_are_not_taken_for_a_value(key: str, word: str) -> None:
    assert fault(f"{key}: {word}").endswith(": write none")


def test_paths_that_no_system_could_open_are_faults() -> None:
    for bad in ('"a\\0b"', '"a\\rb"', '"a\\x85b"', "é" * 2048, "a" * 5000, "'..'", "a/", '"\\ud800"'):
        assert fault(f"access_log: {bad}")
    assert table(f"access_log: {'é' * 2047 + 'a'}").access_log


def test_the_share_of_traces_is_a_percentage_or_none() -> None:
    assert table("trace: none").trace is None
    assert table("trace: 0%").trace == 0
    assert table("trace: 12.5%").trace == 12_500
    assert table().trace == WHOLE


def test_the_limits_are_taken_to_their_ends() -> None:
    low = table(
        "limits: {head: 1KiB, body: 0B, head_time: 1ms, idle: 1ms, stall: 1ms, connections: 1}"
    ).limits
    assert (low.head, low.body, low.head_time, low.connections) == (1024, 0, 0.001, 1)
    high = table(
        "limits: {head: 1024KiB, body: 1024GiB, head_time: 24h, idle: 24h, stall: 24h, connections: 1000000}"
    ).limits
    assert (high.head, high.body, high.idle, high.connections) == (1024**2, 1024**4, 86_400, 1_000_000)
    assert table("limits: {body: none}").limits == table("limits: {}").limits == table().limits


@pytest.mark.parametrize(
    ("limit", "least"),
    [
        ("head: 0", "1KiB"),
        ("head: 0B", "1KiB"),
        ("connections: 0", "from 1 "),
        ("head_time: 0s", "1ms"),
        ("idle: 0", "1ms"),
        ("stall: 0.0s", "1ms"),
    ],
)
def test_nothing_at_all_is_a_fault_that_names_the_least(limit: str, least: str) -> None:
    assert least in fault(f"limits: {{{limit}}}")


def test_a_secret_in_a_secure_url_is_not_repeated() -> None:
    assert "hunter2" not in fault(upstream="url: https://me:hunter2@a")


def test_anchors_stand_for_whole_sections() -> None:
    text = b"""\
version: 1
upstreams:
  a: {url: https://a, timeout: &t {total: 5s}, tls: &s {verify: false}}
  b: {url: https://b, timeout: *t,
      tls: *s}
legacy: a
"""
    found = parse(text, file="f", check_rule=lambda _: None).upstreams
    assert found["b"].timeouts == found["a"].timeouts == Timeouts(total=5)
    assert found["b"].tls == UpstreamTls(verify=False, line=5)


def test_a_share_is_edited_beside_the_new_keys() -> None:
    text = (
        b"version: 1\nlimits: {head: 1KiB}\nupstreams:\n  a: {url: https://a, tls: {verify: false}}\n"
        b"  b: {url: http://b, timeout: {total: none}}\nlegacy: a\nroutes:\n"
        b"  - {name: r, match: /r, extracted: b, share: 5%}\ntrace: none\n"
    )
    edited = set_value(text, "r", "share", "10%")
    assert edited == text.replace(b"5%", b"10%")
    assert parse(edited, file="f", check_rule=lambda _: None).trace is None
