# The training service: docker build --file deploy/docker/train.Dockerfile --build-arg RUNTIME=cpu .
# RUNTIME is the ONNX Runtime build: cpu, gpu with its CUDA libraries as wheels, or openvino. It holds no inference service.
# RUNTIME=cpu,ray or gpu,ray adds Ray, for a service whose jobs run on a Ray cluster and for the nodes of that cluster.
# A package mirror, or an index with CPU-only torch wheels: add --secret id=pip,src=<your pip.conf>; it leaves no trace.

FROM python:3.11-slim AS build
ARG RUNTIME=cpu
WORKDIR /build
RUN python -m venv /opt/tagsmith
ENV PATH=/opt/tagsmith/bin:$PATH
# The dependencies are a layer of their own, which a change of code leaves alone. `demo` is the default base model.
COPY pyproject.toml constraints.txt README.md ./
COPY services/__init__.py services/
COPY shared/__init__.py shared/
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --constraint constraints.txt ".[train,demo,${RUNTIME}]"
COPY services/train services/train
COPY shared shared
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --no-deps --force-reinstall . \
 && rm /opt/tagsmith/bin/tagsmith

FROM python:3.11-slim
COPY --from=build /opt/tagsmith /opt/tagsmith
# Loopback would reach nobody. The root file system may be read-only: all that is written goes below /tmp and the state. Nothing is
# imported from the working directory.
# Base models come from the image or from TAGSMITH_BASES_DIR, never from the network.
ENV PATH=/opt/tagsmith/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    HF_HUB_OFFLINE=1 \
    ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    TAGSMITH_TRAIN_HOST=0.0.0.0 \
    TAGSMITH_TRAIN_STATE_DIR=/var/lib/tagsmith/state
RUN install --directory --owner=10001 --group=10001 /var/lib/tagsmith/state
WORKDIR /tmp
USER 10001:10001
# Calls, health, metrics.
EXPOSE 50061 50062 50063
ENTRYPOINT ["python", "-m", "services.train"]
