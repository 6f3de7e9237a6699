"""The bench's pure parts: what the proxies are told, what counts as met, and the page that is written."""

from benchmarks import configs, judge, report
from benchmarks.isolation import Case
from benchmarks.judge import Target, middle, targets
from benchmarks.load import Idle, Paced, Run
from benchmarks.scenarios import Results, Stream
from strangler.routes import parse

PORTS = configs.Ports(1001, 1002, 1003, 1004, 1005, 1006, 1007)


def run(cpu_us: float) -> Run:
    return Run(cpu_us, 1000.0, 1.0, 2.0, 40.0)


def case(shadow: str, alone: float, beside: float, failed: int = 0) -> Case:
    return Case(shadow, Paced(100, 0, 1.0, alone), Paced(100, failed, 1.0, beside), 1.5, 2.5)


RESULTS = Results(
    requests={
        "sticky": {"nginx": [run(15), run(17), run(16)], "envoy": [run(50)], "ours": [run(39), run(41)]},
        "mirror": {"envoy": [run(80)], "ours": [run(90)]},
    },
    streams={
        "down": {"nginx": [Stream(100.0, 1.0)], "ours": [Stream(60.0, 1.0)]},
        "slow": {"ours": [Stream(10.0, 3.0), Stream(10.0, 33.0)]},
    },
    idle={"ours": Idle(3.5, 0.01)},
    routes={"10": [run(40)], "10000": [run(44)]},
    observer_us=[60.0, 62.0],
)
CASES = [case("hang", 1.0, 1.02), case("hang", 1.2, 1.2), case("huge", 1.0, 1.5, failed=1)]


def test_our_own_table_has_no_faults() -> None:
    table = parse(configs.ours(PORTS, more=6).encode(), file="routes.yaml", check_rule=lambda *rule: None)
    assert len(table.routes) == 10
    shadows = {"hang": 2001, "good": 2002}
    bad = parse(configs.isolation(PORTS, shadows).encode(), file="routes.yaml", check_rule=lambda *rule: None)
    assert [(route.name, route.shadow) for route in bad.routes[1:]] == [("hang", 100_000), ("good", 100_000)]


def test_every_proxy_is_told_of_the_same_upstream() -> None:
    for text in (
        configs.nginx(PORTS, "/x"),
        configs.haproxy(PORTS),
        configs.envoy(PORTS),
        configs.ours(PORTS),
    ):
        assert "1001" in text
        assert "1002" in text
        assert "sticky" in text


def test_a_body_is_as_long_as_it_says() -> None:
    assert len(configs.BODY) == 1024
    assert 'string.rep("x", 16384)' in configs.script("POST", "/plain/", 16384)


def test_targets_are_ratios_of_medians() -> None:
    found = {target.name: (round(target.measured, 3), target.met) for target in targets(RESULTS)}
    assert found == {
        "sticky share: CPU per request, of Envoy's": (0.8, True),
        "sticky share: CPU per request, of nginx's": (2.5, True),
        "mirror: the gateway's CPU per request, of Envoy's": (1.125, False),
        "streaming down: throughput, of nginx's": (0.6, False),
        "slow reader: memory growth, MiB": (33.0, False),
        "10 000 routes: CPU per request, of that with 10": (1.1, True),
    }


def test_callers_beside_a_bad_shadow_are_held_against_those_without() -> None:
    found = {
        target.name: (round(target.measured, 3), target.met) for target in judge.isolation_targets(CASES)
    }
    assert found["beside a shadow that is `hang`: p99, of that without"] == (1.01, True)
    assert found["beside a shadow that is `huge`: p99, of that without"] == (1.5, False)
    assert found["beside bad shadows: requests that failed"] == (1.0, False)
    assert judge.noise(CASES) == 1.2


def test_a_median_shows_its_spread() -> None:
    assert str(middle([3.0, 1.0, 2.0])) == "2 (1–3)"
    assert str(middle([12345.6])) == "12 346 (12 346–12 346)"


def test_the_page_says_where_it_was_measured_and_what_was_missed() -> None:
    machine: dict[str, object] = {
        "cores": 2,
        "processor": "Model T",
        "memory_gib": 4.0,
        "kernel": "6.1",
        "python": "3.11",
    }
    facts = report.Facts(machine, {"nginx": "1.22", "envoy": "1.40"}, "2026-11-24", 5, 4.0, 1024)
    page = report.markdown(facts, RESULTS, CASES, [*targets(RESULTS), Target("made up", 1.0, 2.0)])
    assert "2 cores of Model T, 4.0 GiB, Linux 6.1, Python 3.11; nginx 1.22, Envoy 1.40" in page
    assert "| mirror: the gateway's CPU per request, of Envoy's | 1.12 | ≤ 1 | missed |" in page
    assert "| sticky share of 50 % | strangler | 40 (39–41) |" in page
    assert "| table of 10 000 routes | strangler | 44 (44–44) |" in page
    assert report.as_json(facts, RESULTS, CASES, [])["schema"] == "strangler.bench/1"
