# Node 26 is the image's own here, so the npm package that brings it elsewhere needs no install script.
FROM node:26-bookworm-slim AS dependencies
WORKDIR /app
COPY package.json package-lock.json .npmrc ./
RUN npm ci --omit=dev --ignore-scripts

FROM node:26-bookworm-slim
ENV NODE_ENV=production PARLEY_DATA_DIR=/data
WORKDIR /app
RUN install --directory --owner=node --group=node --mode=0700 /data
COPY --from=dependencies /app/node_modules ./node_modules
COPY package.json require-node.mjs ./
COPY bin ./bin
COPY src ./src
COPY config-versions ./config-versions
USER node
VOLUME /data
EXPOSE 8080
# With Entra ID, set HOST=0.0.0.0; without it only loopback is served: `docker run --network host`.
# Signals reach the process itself: it drains on SIGTERM.
CMD ["node", "--import", "./require-node.mjs", "src/main.ts"]
