# The secretary, alone: no compiler, no pip, nobody's shell history.
#
#     docker build --tag secretary .
#
# BASE_IMAGE is any Debian-like image with Python 3.11 or later, its venv and ca-certificates;
# both stages use the same one, so that the virtualenv's interpreter is where it was.
# Behind a private CA: a base image that trusts it, and
# --build-arg PIP_CERT=/etc/ssl/certs/ca-certificates.crt.
ARG BASE_IMAGE=python:3.11-slim-bookworm

FROM ${BASE_IMAGE} AS builder
ARG PIP_CERT
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
WORKDIR /src
COPY requirements/build.txt requirements/runtime.txt requirements/
RUN python3 -m venv /build \
 && /build/bin/pip install --quiet --require-hashes --requirement requirements/build.txt \
 && python3 -m venv --without-pip /opt/secretary \
 && /build/bin/pip --python /opt/secretary/bin/python install --quiet \
        --no-compile --require-hashes --requirement requirements/runtime.txt
COPY pyproject.toml README.md LICENSE ./
COPY secretary secretary
# The bytecode is worth its megabytes: the health check starts an interpreter every time.
RUN /build/bin/pip wheel --quiet --no-deps --no-build-isolation --wheel-dir /wheels . \
 && /build/bin/pip --python /opt/secretary/bin/python install --quiet \
        --no-compile --no-deps /wheels/*.whl \
 && cd /opt/secretary && rm -rf include share \
 && find bin -type f ! -name secretary -delete \
 && find lib -type d \( -name tests -o -name test \) -prune -exec rm -rf {} + \
 && find lib -type f \( -name '*.pyi' -o -name '*.pyx' -o -name '*.pxd' -o -name '*.pxi' \
        -o -name '*.h' -o -name '*.c' \) -delete \
 && bin/python -m compileall -q --invalidation-mode unchecked-hash lib

FROM ${BASE_IMAGE}
LABEL org.opencontainers.image.title="secretary" \
      org.opencontainers.image.description="Keeps one app's record in etcd true" \
      org.opencontainers.image.licenses="Apache-2.0"
ENV PATH=/opt/secretary/bin:$PATH \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1
COPY --from=builder /opt/secretary /opt/secretary
USER 65532:65532
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s CMD ["secretary", "health"]
ENTRYPOINT ["secretary"]
CMD ["run"]
