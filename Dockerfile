# The base's tag names Python's patch release and Debian's release. For a build that is the same next year, give the
# digest too: --build-arg PYTHON_IMAGE=docker.io/library/python:3.13.14-slim-trixie@sha256:…
ARG PYTHON_IMAGE=docker.io/library/python:3.13.14-slim-trixie

FROM ${PYTHON_IMAGE} AS build
WORKDIR /src
# pip stays here: it installs into an environment that has none.
RUN python3 -m venv /tools && python3 -m venv --without-pip /opt/bybit-exporter
ENV PIP_PYTHON=/opt/bybit-exporter/bin/python PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 \
    PIP_ROOT_USER_ACTION=ignore
COPY requirements.lock ./
RUN /tools/bin/pip install --require-hashes --only-binary :all: -r requirements.lock
COPY LICENSE README.md pyproject.toml ./
COPY docs docs
COPY bybit_exporter bybit_exporter
RUN /tools/bin/pip install --no-deps --no-build-isolation . && /tools/bin/pip uninstall --yes flit-core

FROM ${PYTHON_IMAGE}
# An intruder finds no pip and nothing that runs as root. Both paths: python.org's build and Debian's.
RUN rm -rf /usr/local/bin/pip* /usr/local/lib/python3*/site-packages/pip* /usr/local/lib/python3*/ensurepip \
        /usr/lib/python3*/ensurepip /usr/share/python-wheels \
    && find / -xdev -type f -perm /6000 -exec chmod a-s {} +
COPY --from=build /opt/bybit-exporter /opt/bybit-exporter
COPY deploy/image/healthcheck.py /opt/bybit-exporter/

ARG VERSION=unknown
ARG REVISION=
ARG CREATED=1970-01-01T00:00:00Z
# One pool of free memory (glibc's arena) for all threads, which wait for Python's lock anyway.
# A container is reached from outside of it. A --web.listen-address replaces this one.
ENV BYBIT_EXPORTER_REVISION=${REVISION} BYBIT_EXPORTER_LISTEN_ADDRESS=:9836 MALLOC_ARENA_MAX=1
LABEL org.opencontainers.image.title="bybit-exporter" \
      org.opencontainers.image.description="Prometheus exporter for the balances and the status of Bybit accounts" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.created="${CREATED}"

# Mount the configuration here as config.yaml.
WORKDIR /etc/bybit-exporter
# A number, so that Kubernetes can see that it is not root. Nothing in the image belongs to it.
USER 65532:65532
EXPOSE 9836
# Asks the exporter, never the exchange.
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 \
    CMD ["/opt/bybit-exporter/bin/python", "-I", "/opt/bybit-exporter/healthcheck.py"]
ENTRYPOINT ["/opt/bybit-exporter/bin/bybit-exporter"]
