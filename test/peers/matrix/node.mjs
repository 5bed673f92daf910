// SPDX-License-Identifier: Apache-2.0

// Node's HTTP servers and clients; see README.
//	node node.mjs server http|http2 ADDR PORT
//	node node.mjs http|undici|http2 ADDR CASES PORT…
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { setTimeout as sleep } from "node:timers/promises";
import { gzipSync } from "node:zlib";
import http from "node:http";
import http2 from "node:http2";

// Packages lie where NODE_PATH says.
const load = createRequire(process.env.NODE_PATH + "/x");
const sum = (b) => createHash("sha256").update(b).digest("hex");

function pattern(n) {
	const b = Buffer.alloc(n);
	for (let i = 0; i < n; i++)
		b[i] = (i * 7) % 251;
	return b;
}

function pairs(raw) {
	const list = [];
	for (let i = 0; i < raw.length; i += 2)
		list.push([String(raw[i]), String(raw[i + 1])]);
	return list.sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0]));
}

async function read(stream) {
	const parts = [];
	for await (const p of stream)
		parts.push(p);
	return Buffer.concat(parts);
}

// ---- server ----

let aborted = 0;

async function echo(req, res) {
	const body = await read(req);
	const out = Buffer.from(JSON.stringify({ method: req.method, target: req.url,
		fields: pairs(req.rawHeaders).filter((f) => f[0][0] != ":"), length: body.length, sum: sum(body),
		trailers: pairs(req.rawTrailers) }));
	res.setHeader("Content-Type", "application/json");
	if (!req.url.endsWith("?streamed")) {
		res.setHeader("Content-Length", out.length);
		res.end(out);
		return;
	}
	res.setHeader("Trailer", "X-Sum");
	for (let i = 0; i < out.length; i += 100)
		res.write(out.subarray(i, i + 100));
	res.addTrailers({ "X-Sum": sum(body) });
	res.end();
}

const pages = {
	echo,
	bytes(req, res, n) {
		res.setHeader("Content-Length", n);
		res.end(pattern(n));
	},
	stream(req, res, n) {
		res.write(pattern(n >> 1));
		res.end(pattern(n).subarray(n >> 1));
	},
	status(req, res, n) {
		res.writeHead(n, { ETag: '"tag"' });
		res.end();
	},
	cookies(req, res) {
		res.setHeader("Set-Cookie", ["a=1; Path=/", "b=2, with; a=comma"]);
		res.setHeader("X-Odd-CASE", "kept");
		res.setHeader("X-Dup", ["one", "two"]);
		res.setHeader("X-Empty", "");
		res.end();
	},
	big(req, res) {
		for (let i = 0; i < 12; i++)
			res.setHeader("X-Big-" + i, "b".repeat(1000));
		res.end();
	},
	gzip(req, res) {
		res.setHeader("Content-Encoding", "gzip");
		res.end(gzipSync("text ".repeat(10000)));
	},
	early(req, res) {
		if (req.httpVersionMajor == 1)
			res.setHeader("Connection", "close");
		res.writeHead(413);
		res.end();
	},
	aborted(req, res) {
		res.end(String(aborted));
	},
};

async function handle(req, res) {
	const [what, arg] = req.url.split("?")[0].slice(1).split("/");
	try {
		await pages[what](req, res, Number(arg));
	} catch {
		aborted++;
	}
}

// Says what it hears; "close N" makes it close with that code.
function websockets(server) {
	const { WebSocketServer } = load("ws");
	new WebSocketServer({ server }).on("connection", (c) => c.on("message", (m, binary) => {
		if (!binary && m.toString().startsWith("close "))
			c.close(Number(m.toString().slice(6)), "as told");
		else
			c.send(m, { binary });
	}));
}

function serve(kind, addr, port) {
	const server = kind == "http2" ? http2.createServer(handle) : http.createServer({ keepAliveTimeout: 60000 }, handle);
	if (kind == "http")
		websockets(server);
	server.listen(Number(port), addr);
}

// ---- clients ----

const cannot = { cannot: true };

// A generator of the body's parts; it throws where it is to break off, when the server has begun to read.
async function* pieces(c) {
	const body = pattern(c.Body);
	if (c.Abort) {
		yield body.subarray(0, body.length >> 1);
		await sleep(100);
		throw new Error("broken off");
	}
	for (let i = 0; i < body.length; i += 50000)
		yield body.subarray(i, i + 50000);
}

function result(status, fields, body, trailers, interim) {
	const r = { status, fields: pairs(fields), length: body.length, sum: sum(body), trailers: pairs(trailers), interim };
	if (body.length < 20000)
		r.body = body.toString("latin1");
	return r;
}

function gathered(c) {
	const fields = {};
	for (const [n, v] of c.Fields || [])
		fields[n] = n in fields ? [].concat(fields[n], v) : v;
	return fields;
}

async function pour(c, req) {
	if (c.Body != null)
		for await (const p of pieces(c))
			if (!req.write(p))
				await Promise.race([new Promise((r) => req.once("drain", r)), new Promise((r) => req.once("close", r)), sleep(3000)]);
	if (c.Trailers)
		req.addTrailers(c.Trailers);
	req.end();
}

class Plain {
	constructor(addr, port) {
		this.to = { host: addr, port, agent: new http.Agent({ keepAlive: true, maxSockets: 1 }) };
	}

	exchange(c) {
		const headers = gathered(c);
		if (c.Body != null && !c.Chunked)
			headers["Content-Length"] = c.Body;
		if (c.Expect)
			headers.Expect = "100-continue";
		return new Promise((good, bad) => {
			const interim = [];
			const req = http.request({ ...this.to, method: c.Method, path: c.Path, headers, timeout: 10000 });
			const go = () => pour(c, req).catch((e) => (req.destroy(), bad(e)));
			req.on("information", (i) => interim.push(i.statusCode));
			req.on("error", bad);
			req.on("timeout", () => req.destroy(new Error("timeout")));
			req.on("response", (r) => read(r).then((b) =>
				good(result(r.statusCode, r.rawHeaders, b, r.rawTrailers, interim)), bad));
			c.Expect ? req.on("continue", go) : go();
		});
	}
}

class Undici {
	constructor(addr, port) {
		this.pool = new (load("undici").Client)(`http://${addr}:${port}`);
	}

	async exchange(c) {
		if (c.Trailers || c.Expect)
			return cannot;
		const headers = (c.Fields || []).flat();
		if (c.Body != null && !c.Chunked)
			headers.push("content-length", String(c.Body));
		const { Readable } = await import("node:stream");
		const body = c.Body != null ? Readable.from(pieces(c), { objectMode: false }) : null;
		const r = await this.pool.request({ method: c.Method, path: c.Path, headers, body, responseHeaders: "raw",
			headersTimeout: 10000, signal: AbortSignal.timeout(10000) });
		const text = await read(r.body);
		const raw = Array.isArray(r.headers) ? r.headers : Object.entries(r.headers).flat();
		return result(r.statusCode, raw, text, Object.entries(r.trailers).flat(), []);
	}
}

class Two {
	constructor(addr, port) {
		this.url = `http://${addr}:${port}`;
	}

	session() {
		if (!this.at || this.at.closed || this.at.destroyed) {
			this.at = http2.connect(this.url);
			this.at.on("error", () => {});
		}
		return this.at;
	}

	exchange(c) {
		const headers = { ...gathered(c), ":method": c.Method, ":path": c.Path };
		if (c.Body != null && !c.Chunked)
			headers["content-length"] = c.Body;
		if (c.Expect)
			headers.expect = "100-continue";
		return new Promise((good, bad) => {
			const interim = [];
			let trailers = [];
			const req = this.session().request(headers, { endStream: c.Body == null, waitForTrailers: !!c.Trailers });
			const go = () => (c.Body != null ? pour({ ...c, Trailers: null }, req) : Promise.resolve())
				.catch((e) => (req.close(http2.constants.NGHTTP2_CANCEL), bad(e)));
			req.setTimeout(10000, () => (req.close(), bad(new Error("timeout"))));
			req.on("wantTrailers", () => req.sendTrailers(Object.fromEntries(c.Trailers)));
			req.on("headers", (h) => interim.push(h[":status"]));
			req.on("trailers", (h, flags, raw) => (trailers = raw || Object.entries(h).flat()));
			req.on("error", bad);
			req.on("response", (h, flags, raw) => read(req).then((b) => good(result(h[":status"],
				raw || Object.entries(h).flatMap(([n, v]) => [].concat(v).flatMap((x) => [n, x])), b, trailers, interim)), bad));
			c.Expect ? req.on("continue", go) : go();
		});
	}
}

const kinds = { http: Plain, undici: Undici, http2: Two };

async function attempt(client, c) {
	try {
		return await client.exchange(c);
	} catch (e) {
		return { error: true, text: String(e) };
	}
}

async function abort(client, c) {
	const count = async () => (await attempt(client, { Method: "GET", Path: "/aborted" })).body;
	const before = await count();
	await attempt(client, c);
	for (let i = 0; i < 60; i++) {
		if ((await count()) != before)
			return { noticed: true };
		await sleep(50);
	}
	return { noticed: false };
}

async function run(kind, addr, file, ...ports) {
	const cases = JSON.parse(readFileSync(file)), out = {};
	for (const port of ports) {
		const client = new kinds[kind](addr, Number(port));
		out[port] = {};
		for (const c of cases)
			out[port][c.Name] = await (c.Abort ? abort : attempt)(client, c);
	}
	process.stdout.write(JSON.stringify(out), () => process.exit(0));
}

process.on("uncaughtException", (e) => process.stderr.write(e.stack + "\n"));
const [what, ...rest] = process.argv.slice(2);
await (what == "server" ? serve(...rest) : run(what, ...rest));
