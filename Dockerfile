# syntax=docker/dockerfile:1
# phds alone, for a container that can write nowhere but into its store:
#
#   docker build --tag phds .
#   docker run --rm --read-only --tmpfs /tmp --cap-drop ALL --security-opt no-new-privileges \
#     --volume /srv/phds:/data --volume /etc/phds/password:/run/secrets/phds-password:ro \
#     --env CREDENTIALS_DIRECTORY=/run/secrets phds load --due
#
# /srv/phds has phds.toml and the store, and belongs to 10001:10001. The password is a file of mode 0400 of the same user:
# never a build argument, never in the image.

FROM rust:1.95-slim-bookworm AS build
# Any g++ of this Debian will do, and Debian keeps no older one.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends g++ \
    && rm -rf /var/lib/apt/lists/*
WORKDIR /src
COPY . .
RUN cargo build --profile dist --locked --jobs 2

FROM debian:12.11-slim
COPY --from=build /src/target/dist/phds /usr/local/bin/phds
USER 10001:10001
ENV HOME=/data
WORKDIR /data
ENTRYPOINT ["phds"]
CMD ["--help"]
