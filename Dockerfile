# The images of FedBiOT: operator, worker (the default target) and worker-cuda. What is in them and how to build them: docs/images.md.
ARG NODE_IMAGE=docker.io/library/node:24.21.0-bookworm-slim@sha256:0e0ff40c39bc087845bfb27465a0df4ea419520094bc35842ff83dd8cbe6f9b6
ARG PYTHON_IMAGE=docker.io/library/python:3.14.7-slim-bookworm@sha256:82bc3c539b8813ada9d68c63b40158fa002f7f33de9bf3312a3dfdc0620dff56

# Node and the libraries that it and the native modules are linked to, from the base image's Debian packages. Nothing else of the base is in an
# image: no shell, no package manager. The packages' dpkg records are included, so that scanners recognise them.
FROM ${NODE_IMAGE} AS system
RUN set -eu; \
    mkdir -p /system/usr/lib /system/usr/lib64 /system/usr/local/bin /system/etc /system/var/lib/dpkg/status.d; \
    for link in lib lib64; do if [ -L "/$link" ]; then cp -a "/$link" /system/; fi; done; \
    for package in gcc-12-base libc6 libgcc-s1 libstdc++6; do \
      dpkg-query --status "$package" > "/system/var/lib/dpkg/status.d/$package"; \
      dpkg-query --listfiles "$package" | grep -E '\.so(\.[0-9]+)*$|/copyright$' | grep -v /gconv/ | sed 's|^/||'; \
    done | tar --create --directory / --no-recursion --files-from - | tar --extract --directory /system; \
    cp -a /etc/debian_version /etc/os-release /etc/ld.so.conf /etc/ld.so.conf.d /system/etc/; \
    cp /usr/lib/os-release /system/usr/lib/; \
    echo 'hosts: files dns' > /system/etc/nsswitch.conf; \
    printf '%s\n' root:x:0:0:root:/:/sbin/nologin nonroot:x:65532:65532:nonroot:/tmp:/sbin/nologin > /system/etc/passwd; \
    printf '%s\n' root:x:0: nonroot:x:65532: > /system/etc/group; \
    mkdir -m 1777 /system/tmp; \
    cp /usr/local/bin/node /system/usr/local/bin/; \
    cp /usr/local/LICENSE /system/usr/local/

# The packages that a program's package.json declares and their dependencies, as locked; their install scripts are not run. The secret npmrc
# gives a private registry and its credentials, the secret ca its CA certificate: no layer contains them. npm names the SBOM's component
# after the folder, and takes the packages' hashes from package-lock.json, which is removed because it lists more than is installed.
FROM ${NODE_IMAGE} AS packages
ENV NPM_CONFIG_AUDIT=false NPM_CONFIG_FUND=false NPM_CONFIG_UPDATE_NOTIFIER=false

FROM packages AS operator-packages
WORKDIR /fedbiot-operator
COPY package.json package-lock.json ./
COPY operator/package.json operator/
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca \
    npm ci --omit=dev --ignore-scripts --workspace=operator \
 && mv operator/package.json ./ \
 && rm -r operator node_modules/fedbiot-operator \
 && npm sbom --sbom-format=cyclonedx --sbom-type=application > sbom.cdx.json \
 && rm package-lock.json

# Without the peer dependency, Node, which the image has; of onnxruntime only this platform's build.
FROM packages AS worker-packages
WORKDIR /fedbiot
COPY package.json package-lock.json ./
RUN --mount=type=secret,id=npmrc,target=/root/.npmrc --mount=type=secret,id=ca \
    npm ci --omit=dev --omit=peer --ignore-scripts --workspaces=false \
 && npm pkg delete workspaces devDependencies peerDependencies \
 && npm sbom --sbom-format=cyclonedx --sbom-type=application > sbom.cdx.json \
 && rm package-lock.json \
 && cd node_modules/onnxruntime-node/bin \
 && find . -mindepth 3 -maxdepth 3 ! -path "*/linux/$(node -p process.arch)" -exec rm -r {} + \
 && find . -type d -empty -delete

# onnxruntime's CUDA execution provider and the NVIDIA libraries that it links to. Python only unpacks them; its version does not matter.
FROM ${PYTHON_IMAGE} AS cuda
COPY docker/cuda-libraries.txt /tmp/
RUN --mount=type=secret,id=pip,target=/etc/pip.conf --mount=type=secret,id=ca \
    pip install --no-cache-dir --no-compile --no-deps --only-binary=:all: --python-version=3.14 \
      --require-hashes --requirement=/tmp/cuda-libraries.txt --target=/tmp/cuda \
 && mkdir -p /cuda/lib /cuda/licences /provider \
 && mv /tmp/cuda/onnxruntime/capi/libonnxruntime_providers_cuda.so /tmp/cuda/onnxruntime/capi/libonnxruntime_providers_shared.so /provider/ \
 && mv /tmp/cuda/nvidia/*/lib/*.so.* /cuda/lib/ \
 && rm /cuda/lib/libnvblas.* \
 && cp /tmp/cuda/onnxruntime/LICENSE /cuda/licences/onnxruntime.txt \
 && cp /tmp/cuda/onnxruntime/ThirdPartyNotices.txt /cuda/licences/onnxruntime-third-party.txt \
 && for folder in /tmp/cuda/nvidia*.dist-info; do find "$folder" -iname 'license*' -type f -exec cp {} "/cuda/licences/$(basename "$folder" .dist-info).txt" \; ; done

FROM scratch AS base
COPY --from=system /system /
ENV PATH=/usr/local/bin NODE_ENV=production
WORKDIR /app
COPY LICENSE ./
COPY crds crds
COPY worker worker
USER 65532:65532
STOPSIGNAL SIGTERM
ARG VERSION=0.1.0
ARG REVISION=
ARG SOURCE=
LABEL org.opencontainers.image.description="Federated fine-tuning of large language models without the full model" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

# Manages objects and status; runs no training.
FROM base AS operator
LABEL org.opencontainers.image.title="FedBiOT operator"
COPY --from=operator-packages /fedbiot-operator ./
COPY operator operator
CMD ["node", "operator/main.ts"]

# Server and clients of a job.
FROM base AS worker-files
COPY --from=worker-packages /fedbiot ./
COPY examples examples
CMD ["node", "worker/launch.js", "--help"]

# For NVIDIA GPUs, x86-64 only. The node provides the driver's libraries, on some distributions in /usr/local/nvidia.
FROM worker-files AS worker-cuda
LABEL org.opencontainers.image.title="FedBiOT worker, CUDA 13"
COPY --from=cuda /cuda /usr/local/cuda
COPY --from=cuda /provider node_modules/onnxruntime-node/bin/napi-v6/linux/x64
ENV LD_LIBRARY_PATH=/usr/local/cuda/lib:/usr/local/nvidia/lib64:/usr/local/nvidia/lib NVIDIA_DRIVER_CAPABILITIES=compute,utility

# The last target, so that it is the default one.
FROM worker-files AS worker
LABEL org.opencontainers.image.title="FedBiOT worker"
