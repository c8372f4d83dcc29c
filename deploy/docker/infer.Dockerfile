# The inference service: docker build --file deploy/docker/infer.Dockerfile --build-arg RUNTIME=cpu .
# RUNTIME is the ONNX Runtime build: cpu, gpu with its CUDA libraries as wheels, or openvino for processors with bf16. None holds
# torch or training code.
# A package mirror: add --secret id=pip,src=<your pip.conf>; it leaves no trace in the image.

FROM python:3.11-slim AS build
ARG RUNTIME=cpu
WORKDIR /build
RUN python -m venv /opt/tagsmith
ENV PATH=/opt/tagsmith/bin:$PATH
# The dependencies are a layer of their own, which a change of code leaves alone.
COPY pyproject.toml constraints.txt README.md ./
COPY services/__init__.py services/
COPY shared/__init__.py shared/
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --constraint constraints.txt ".[infer,${RUNTIME}]"
COPY services/infer services/infer
COPY shared shared
RUN --mount=type=cache,target=/root/.cache/pip --mount=type=secret,id=pip,target=/etc/pip.conf \
    pip install --no-deps --force-reinstall . \
 && rm /opt/tagsmith/bin/tagsmith

FROM python:3.11-slim
COPY --from=build /opt/tagsmith /opt/tagsmith
# Loopback would reach nobody. The root file system may be read-only: all that is written goes below /tmp and the cache. Nothing is
# imported from the working directory.
ENV PATH=/opt/tagsmith/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONSAFEPATH=1 \
    HOME=/tmp \
    TMPDIR=/tmp \
    ORT_DISABLE_TELEMETRY=1 \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility \
    TAGSMITH_INFER_HOST=0.0.0.0 \
    TAGSMITH_INFER_CACHE_DIR=/var/cache/tagsmith
RUN install --directory --owner=10001 --group=10001 /var/cache/tagsmith
WORKDIR /tmp
USER 10001:10001
# Calls, health, metrics.
EXPOSE 50051 50052 50053
ENTRYPOINT ["python", "-m", "services.infer"]
