"""What each proxy is told: the same paths, the same upstream, one worker, kept-alive connections, no access log. Pure.

`/plain/` goes to one upstream, `/sticky/` to one of two by the caller's header, `/mirror/` to one with a copy to the
other, `/big` is a file to be streamed down, `/sink` takes a body streamed up.
"""

from __future__ import annotations

from dataclasses import dataclass

BODY = '{"data":"' + "x" * 1013 + '"}'  # 1 KiB


@dataclass(frozen=True)
class Ports:
    """Where things listen on loopback."""

    upstream: int
    sink: int
    nginx: int
    haproxy: int
    envoy: int
    ours: int
    admin: int


def upstream(ports: Ports, folder: str) -> str:
    """nginx as the upstream: 1 KiB of JSON for everything, and a large file."""
    return f"""\
daemon off; worker_processes 1; pid {folder}/upstream.pid; error_log {folder}/upstream.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; client_max_body_size 0;
  sendfile on; client_body_buffer_size 64k;
  client_body_temp_path {folder}/t1; proxy_temp_path {folder}/t2; fastcgi_temp_path {folder}/t3;
  uwsgi_temp_path {folder}/t4; scgi_temp_path {folder}/t5;
  server {{
    listen 127.0.0.1:{ports.upstream} backlog=4096; default_type application/json;
    location = /big {{ root {folder}; }}
    location / {{ return 200 '{BODY}'; }}
  }}
}}
"""


def nginx(ports: Ports, folder: str) -> str:
    """nginx: `split_clients` for the share, `mirror` for the shadow."""
    keep = "keepalive 256; keepalive_requests 1000000000; keepalive_timeout 600s;"
    return f"""\
daemon off; worker_processes 1; pid {folder}/nginx.pid; error_log {folder}/nginx.log crit;
events {{ worker_connections 8192; }}
http {{
  access_log off; keepalive_requests 1000000000; keepalive_timeout 600s; client_max_body_size 0;
  client_body_buffer_size 64k;
  client_body_temp_path {folder}/n1; proxy_temp_path {folder}/n2; fastcgi_temp_path {folder}/n3;
  uwsgi_temp_path {folder}/n4; scgi_temp_path {folder}/n5;
  proxy_http_version 1.1; proxy_set_header Connection "";
  upstream old {{ server 127.0.0.1:{ports.upstream}; {keep} }}
  upstream new {{ server 127.0.0.1:{ports.upstream}; {keep} }}
  upstream sink {{ server 127.0.0.1:{ports.sink}; {keep} }}
  split_clients "$http_x_user_id" $side {{ 50% new; * old; }}
  server {{
    listen 127.0.0.1:{ports.nginx} backlog=4096;
    location / {{ proxy_pass http://old; }}
    location /sticky/ {{ proxy_pass http://$side; }}
    location /mirror/ {{ mirror /_shadow; proxy_pass http://old; }}
    location = /_shadow {{ internal; proxy_pass http://new$request_uri; }}
    location = /big {{ proxy_buffering off; proxy_pass http://old; }}
    location = /sink {{ proxy_request_buffering off; proxy_pass http://sink; }}
  }}
}}
"""


def haproxy(ports: Ports) -> str:
    """HAProxy: the share by a hash of the header. It has no mirror of its own."""
    server = f"server s 127.0.0.1:{ports.upstream} maxconn 4096"
    return f"""\
global
  nbthread 1
  maxconn 8192
defaults
  mode http
  timeout connect 5s
  timeout client 75s
  timeout server 30s
  timeout http-keep-alive 75s
  http-reuse always
frontend callers
  bind 127.0.0.1:{ports.haproxy} backlog 4096
  use_backend sink if {{ path /sink }}
  use_backend new if {{ path_beg /sticky/ }} {{ req.hdr(x-user-id),xxh32,mod(100) lt 50 }}
  default_backend old
backend old
  {server}
backend new
  {server}
backend sink
  server s 127.0.0.1:{ports.sink}
"""


_ENVOY = """\
static_resources:
  listeners:
  - address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}
    filter_chains:
    - filters:
      - name: envoy.filters.network.http_connection_manager
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          stat_prefix: callers
          codec_type: HTTP1
          route_config:
            virtual_hosts:
            - name: all
              domains: ["*"]
              routes:
              - match: {{path: "/sink"}}
                route: {{cluster: sink, timeout: 0s}}
              - match: {{path: "/big"}}
                route: {{cluster: old, timeout: 0s}}
              - match: {{prefix: "/sticky/"}}
                route:
                  weighted_clusters:
                    header_name: x-user-id
                    clusters: [{{name: new, weight: 50}}, {{name: old, weight: 50}}]
              - match: {{prefix: "/mirror/"}}
                route: {{cluster: old, request_mirror_policies: [{{cluster: new}}]}}
              - match: {{prefix: "/"}}
                route: {{cluster: old}}
          http_filters:
          - name: envoy.filters.http.router
            typed_config: {{"@type": type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}
  clusters:
{clusters}"""

_CLUSTER = """\
  - name: {name}
    type: STATIC
    connect_timeout: 5s
    load_assignment:
      cluster_name: {name}
      endpoints:
      - lb_endpoints: [{{endpoint: {{address: {{socket_address: {{address: 127.0.0.1, port_value: {port}}}}}}}}}]
"""


def envoy(ports: Ports) -> str:
    """Envoy: weighted clusters by the number in the header, and a mirror policy."""
    places = (("old", ports.upstream), ("new", ports.upstream), ("sink", ports.sink))
    clusters = "".join(_CLUSTER.format(name=name, port=port) for name, port in places)
    return _ENVOY.format(port=ports.envoy, clusters=clusters)


def ours(ports: Ports, *, more: int = 0) -> str:
    """routes.yaml with the routes of the comparison, and `more` that nobody asks for."""
    others = "".join(
        f"  - {{name: other-{number}, match: 'GET /s{number % 100}/a{number}/{{id}}', extracted: new, share: 10%}}\n"
        for number in range(more)
    )
    return f"""\
version: 1
listen: 127.0.0.1:{ports.ours}
admin: 127.0.0.1:{ports.admin}
identity: [header:x-user-id]
upstreams:
  old: {{url: "http://127.0.0.1:{ports.upstream}"}}
  new: {{url: "http://127.0.0.1:{ports.upstream}"}}
  sink: {{url: "http://127.0.0.1:{ports.sink}"}}
legacy: old
routes:
  - {{name: plain, match: "/plain/{{id}}", extracted: new, share: 0%}}
  - {{name: sticky, match: "/sticky/{{id}}", extracted: new, share: 50%}}
  - {{name: mirror, match: "/mirror/{{id}}", extracted: new, share: 0%, shadow: 100%}}
  - {{name: sink, match: "/sink", extracted: sink, share: 100%}}
{others}"""


def isolation(ports: Ports, shadows: dict[str, int]) -> str:
    """routes.yaml with one route per bad shadow. Callers are answered by `old` on all of them."""
    upstreams = "".join(
        f'  {name}: {{url: "http://127.0.0.1:{port}", timeout: 10s}}\n' for name, port in shadows.items()
    )
    routes = "".join(
        f"  - {{name: {name}, match: '/{name}/{{id}}', extracted: {name}, share: 0%, shadow: 100%}}\n"
        for name in shadows
    )
    return f"""\
version: 1
listen: 127.0.0.1:{ports.ours}
admin: 127.0.0.1:{ports.admin}
identity: [header:x-user-id]
upstreams:
  old: {{url: "http://127.0.0.1:{ports.upstream}"}}
  sink: {{url: "http://127.0.0.1:{ports.sink}"}}
{upstreams}legacy: old
routes:
  - {{name: upload, match: "/sink", extracted: sink, share: 100%}}
{routes}"""


def script(method: str, path: str, size: int = 0) -> str:
    """wrk's script: a thousand callers in turn, with the fields that a browser's request has."""
    body = f'string.rep("x", {size})' if size else "nil"
    return f"""\
local requests, at = {{}}, 0
init = function(args)
  for caller = 1, 1000 do
    requests[caller] = wrk.format("{method}", "{path}" .. caller, {{
      ["x-user-id"] = tostring(caller), ["accept"] = "*/*", ["user-agent"] = "benchmark/1",
      ["cookie"] = "session=0123456789abcdef; theme=dark"}}, {body})
  end
end
request = function() at = at % 1000 + 1; return requests[at] end
"""
