# strangler in front of your monolith:
#   docker build -t strangler .
#   docker run -p 8080:8080 -v $PWD/routes.yaml:/etc/strangler/routes.yaml -v strangler-state:/var/lib/strangler strangler
# In routes.yaml say `listen: 0.0.0.0:8080`. To reach the admin listener from outside the container, say
# `admin: 0.0.0.0:9090` and pass STRANGLER_TOKEN.

FROM python:3.11-slim-bookworm AS build
WORKDIR /src
COPY requirements/run.txt requirements/run.txt
RUN python -m venv /opt/strangler \
 && /opt/strangler/bin/pip install --no-cache-dir --require-hashes -r requirements/run.txt
COPY pyproject.toml README.md LICENSE ./
COPY strangler strangler
RUN /opt/strangler/bin/pip install --no-cache-dir --no-deps .

FROM python:3.11-slim-bookworm
RUN useradd --system --uid 10001 --home-dir /var/lib/strangler --create-home strangler \
 && mkdir -p /etc/strangler && chown strangler:strangler /etc/strangler
COPY --from=build /opt/strangler /opt/strangler
ENV PATH=/opt/strangler/bin:$PATH PYTHONUNBUFFERED=1
# By number, so that an orchestrator can see that it is not root.
USER 10001
WORKDIR /var/lib/strangler
VOLUME ["/var/lib/strangler"]
EXPOSE 8080 9090
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=5s --timeout=2s --start-period=5s --retries=3 \
  CMD ["strangler", "status", "--routes", "/etc/strangler/routes.yaml", "--state", "/var/lib/strangler/state", "--alive"]
ENTRYPOINT ["strangler"]
CMD ["serve", "--routes", "/etc/strangler/routes.yaml", "--state", "/var/lib/strangler/state"]
