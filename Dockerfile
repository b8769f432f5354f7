# Three images: inference (the last stage, what production runs), controller and host (development).
# `docker build .` builds the first. BASE is any Python 3.11 to 3.13 on Debian or its like. Without a GPU, give pip an
# index of CPU builds of torch: `--build-arg PIP_EXTRA_INDEX_URL=...`; the default wheel brings 2 GB of CUDA.
ARG BASE=python:3.11-slim

FROM ${BASE} AS source
WORKDIR /src
COPY pyproject.toml constraints.txt README.md LICENSE ./
COPY alembic ./alembic
COPY agents ./agents
COPY hosts ./hosts
COPY inference ./inference
COPY tui ./tui
COPY ringrift ./ringrift

FROM source AS built-inference
ARG PIP_EXTRA_INDEX_URL
# "onnx" for RINGRIFT_ENGINE=onnx: no torch in the image.
ARG EXTRAS=inference
RUN python -m venv /opt/ringrift \
 && /opt/ringrift/bin/pip install --no-cache-dir -c constraints.txt ".[${EXTRAS}]"
# Kernels are compiled here for the generic CPU of the architecture: every start loads them, and writes nothing.
ENV NUMBA_CACHE_DIR=/opt/ringrift/kernels
WORKDIR /opt/ringrift
RUN bin/python -m ringrift.players.warmup && chmod -R a+rX kernels

FROM source AS built-controller
RUN python -m venv /opt/ringrift \
 && /opt/ringrift/bin/pip install --no-cache-dir -c constraints.txt '.[control]'

# The operator's machine: the controller listens on its own loopback, so verbs run in its container.
FROM ${BASE} AS controller
COPY --from=built-controller /opt/ringrift /opt/ringrift
RUN useradd --uid 10001 --create-home ringrift && install -d -o 10001 -g 10001 /var/lib/ringrift
ENV PATH=/opt/ringrift/bin:$PATH RINGRIFT_HOME=/var/lib/ringrift PYTHONUNBUFFERED=1
USER 10001:10001
HEALTHCHECK --interval=10s --timeout=10s --start-period=30s CMD ["ringrift-ctl", "status", "--json"]
CMD ["ringrift-ctl", "up"]

# A machine to train on: an sshd and Python. The controller brings everything else; its key comes as a file.
FROM ${BASE} AS host
# hadolint ignore=DL3008
RUN apt-get update && apt-get install -y --no-install-recommends openssh-server \
 && rm -rf /var/lib/apt/lists/* /etc/ssh/ssh_host_* && mkdir -p /run/sshd /keys \
 && useradd --create-home --shell /bin/sh --password '*' ring
CMD ["sh", "-c", "ssh-keygen -A && exec /usr/sbin/sshd -D -e -o UsePAM=no -o PasswordAuthentication=no -o AuthorizedKeysFile=/keys/authorized_keys -o StrictModes=no"]

FROM ${BASE} AS inference
COPY --from=built-inference /opt/ringrift /opt/ringrift
ENV PATH=/opt/ringrift/bin:$PATH \
    NUMBA_CACHE_DIR=/opt/ringrift/kernels \
    OMP_NUM_THREADS=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    RINGRIFT_MODELS_PATH=/models \
    PORT=8600
WORKDIR /opt/ringrift
USER 10001:10001
EXPOSE 8600
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import os, urllib.request as r; r.urlopen(f'http://127.0.0.1:{os.environ[\"PORT\"]}/health', timeout=4)"]
ENTRYPOINT ["python", "-m", "inference"]
CMD ["--host", "0.0.0.0"]
