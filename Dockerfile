# tripswitch as an image: docker build -t tripswitch . For several architectures:
#
#   docker buildx build --platform linux/amd64,linux/arm64 -t tripswitch .
#
# Nothing here depends on one: the pins carry the hashes of the wheels of both, and none is compiled.
# What it promises, and how that is held: docs/image.md.
#
#   docker run --read-only --volume tripswitch-state:/var/lib/tripswitch \
#     --volume "$PWD/tripswitch.yaml:/etc/tripswitch/tripswitch.yaml:ro" --publish 4317:4317 tripswitch

FROM python:3.11-slim AS build
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src

COPY requirements/build.txt requirements/image.txt requirements/
RUN python -m venv /opt/build \
    && /opt/build/bin/pip install --require-hashes -r requirements/build.txt \
    && python -m venv --without-pip /opt/tripswitch \
    && /opt/build/bin/pip --python /opt/tripswitch/bin/python install \
        --require-hashes -r requirements/image.txt

COPY pyproject.toml README.md LICENSE ./
COPY src/ src/
COPY config/prices.yaml config/
RUN /opt/build/bin/pip wheel --no-deps --no-build-isolation --wheel-dir /wheels . \
    && /opt/build/bin/pip --python /opt/tripswitch/bin/python install \
        --no-index --no-deps /wheels/tripswitch-*.whl

FROM python:3.11-slim
RUN groupadd --gid 10001 tripswitch \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/tripswitch \
        --shell /usr/sbin/nologin tripswitch \
    && install -d -o 10001 -g 10001 -m 0700 /var/lib/tripswitch
COPY --from=build /opt/tripswitch /opt/tripswitch
COPY config/container.yaml /etc/tripswitch/tripswitch.yaml

LABEL org.opencontainers.image.title="tripswitch" \
      org.opencontainers.image.description="An OpenTelemetry sidecar for LLM incident response" \
      org.opencontainers.image.version="0.1.0" \
      org.opencontainers.image.licenses="Apache-2.0"

# The root file system may be read-only: only the volume is written to.
ENV PATH=/opt/tripswitch/bin:$PATH PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1
USER 10001:10001
WORKDIR /var/lib/tripswitch
VOLUME /var/lib/tripswitch

# OTLP/gRPC, OTLP/HTTP, health, metrics, API. The API answers on the container's own loopback only, until
# telemetry.api.endpoint says otherwise: it asks nobody for a password.
EXPOSE 4317 4318 13133 8888 8317

HEALTHCHECK --interval=10s --timeout=3s --start-period=15s --retries=3 \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:13133/', timeout=2)"]

# SIGTERM lets requests under way finish: give it 15 s (docker stop --time 15).
ENTRYPOINT ["tripswitch"]
CMD ["run", "--config", "/etc/tripswitch/tripswitch.yaml"]
