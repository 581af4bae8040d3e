# The image of every service of compose.yaml: one program, started with different commands.
FROM python:3.11.15-slim-bookworm AS build
ARG EXTRAS=cpu,cluster
RUN python -m venv /opt/omnisrc
ENV PATH=/opt/omnisrc/bin:$PATH
WORKDIR /src
COPY pyproject.toml setup.py MANIFEST.in README.md LICENSE ./
COPY omnisrc omnisrc
COPY workers workers
COPY db db
COPY alembic alembic
COPY configs configs
RUN pip install --no-cache-dir ".[${EXTRAS}]" && pip check

FROM python:3.11.15-slim-bookworm
COPY --from=build /opt/omnisrc /opt/omnisrc
RUN useradd --uid 10001 --create-home omnisrc \
    && mkdir /study \
    && chown omnisrc:omnisrc /study
USER omnisrc
ENV PATH=/opt/omnisrc/bin:$PATH \
    OMNISRC_HOME=/study \
    PYTHONUNBUFFERED=1
WORKDIR /study
STOPSIGNAL SIGTERM
CMD ["omnisrc", "--help"]
