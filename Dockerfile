# The image of Vigie: one for serve, collect and the demo. Build: docker build -t vigie .
# For a release, pin the base by digest: --build-arg PYTHON=python:3.11-slim-bookworm@sha256:…  (docker buildx imagetools inspect)
ARG PYTHON=python:3.11-slim-bookworm

FROM ${PYTHON} AS build
WORKDIR /src
ENV PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_CACHE_DIR=1
RUN python -m venv /opt/vigie
COPY requirements.lock ./
RUN /opt/vigie/bin/python -m pip install --quiet --require-hashes -r requirements.lock
COPY pyproject.toml README.md LICENSE ./
COPY collectors collectors
COPY monitor monitor
COPY dashboards dashboards
RUN /opt/vigie/bin/python -m pip install --quiet --no-deps .

FROM ${PYTHON}
LABEL org.opencontainers.image.title="Vigie" org.opencontainers.image.description="The open reputation lookout for e-mail senders" org.opencontainers.image.licenses="Apache-2.0"
RUN useradd --system --uid 10001 --no-create-home --home-dir /var/lib/vigie --shell /usr/sbin/nologin vigie \
 && install -d -o vigie -g vigie -m 0750 /var/lib/vigie
COPY --from=build /opt/vigie /opt/vigie
ENV PATH=/opt/vigie/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1
USER 10001:10001
WORKDIR /var/lib/vigie
EXPOSE 8080
ENTRYPOINT ["vigie"]
CMD ["run", "--config", "/etc/vigie/vigie.yaml"]
