// http with an agent that keeps connections, or with `fetch` what Node brings along; one connection to Redis for all requests.
const crypto = require("node:crypto");
const fs = require("node:fs");
const http = require("node:http");
const pg = require("pg");
const redis = require("redis");

const { NEXT, PORT, POSTGRES_PORT, REDIS_PORT, TRUTH } = process.env;
const ledger = fs.openSync(TRUTH, "a");
const agent = new http.Agent({ keepAlive: true });
const cache = redis.createClient({ url: `redis://127.0.0.1:${REDIS_PORT}` });
const database = new pg.Pool({ host: "127.0.0.1", port: POSTGRES_PORT, user: "postgres", database: "postgres", max: 32 });

function newId(parent, kind) {
  const id = crypto.randomBytes(8).toString("hex");
  fs.writeSync(ledger, `${parent} ${id} ${kind}\n`);
  return id;
}

const byAgent = (url, headers) =>
  new Promise((done, failed) => {
    const request = http.get(url, { agent, headers }, (answer) => answer.resume().on("end", () => done(answer.statusCode)));
    request.on("error", failed);
  });

async function byFetch(url, headers) {
  const answer = await fetch(url, { headers });
  await answer.text();
  return answer.status;
}

const ask = process.argv[2] === "fetch" ? byFetch : byAgent;

async function call(parent, headers) {
  for (let attempt = 0; attempt < 2; attempt++) {
    if ((await ask(`${NEXT}/c/${newId(parent, "http")}`, headers)) !== 503) return;
  }
}

async function work(request) {
  const own = request.url.split("/")[2];
  const requestId = request.headers["x-request-id"];
  const headers = requestId ? { "X-Request-ID": requestId } : {};
  await cache.get(`k:${newId(own, "redis")}`);
  await Promise.all([call(own, headers), call(own, headers)]);
  await database.query(`SELECT pause('${newId(own, "sql")}')`);
}

const server = http.createServer(async (request, response) => {
  try {
    await work(request);
    response.end("ok");
  } catch (error) {
    response.writeHead(500).end(String(error));
  }
});
server.keepAliveTimeout = 600_000;
cache.connect().then(() => server.listen(PORT, "127.0.0.1"));
