"""Measures a server of the protocol, and its peer where there is one, in the same run.

Bodies are made before the clock runs and answers are not parsed, so that what is measured is the server.
"""

import argparse
import asyncio
import http.client
import json
import statistics
import subprocess
import time
import urllib.parse
import uuid

CHUNK = 1000
STAMP = "2026-03-01T08:00:00Z"


class Subject:
    """A server, with the process that its memory is read from where that is known."""

    def __init__(self, name, url, pid):
        self.name, self.pid = name, pid
        self.address = urllib.parse.urlsplit(url)

    def connect(self):
        return http.client.HTTPConnection(self.address.hostname, self.address.port, timeout=600)

    def user(self):
        return User(self, str(uuid.uuid4()))

    def memory(self, what):
        """`VmRSS` or `VmHWM` in MiB."""
        with open(f"/proc/{self.pid}/status") as status:
            return next(int(line.split()[1]) / 1024 for line in status if line.startswith(what))

    def forget_peak(self):
        with open(f"/proc/{self.pid}/clear_refs", "w") as refs:
            refs.write("5")


class User:
    """A user of a subject, with one device that reads and writes."""

    def __init__(self, subject, name):
        self.subject, self.name = subject, name
        self.connection = subject.connect()
        self.headers = {"oversync-source-id": str(uuid.uuid4()), "content-type": "application/json"}
        self.sign_in()
        self.post("/sync/connect", {"has_local_pending_rows": False})

    def sign_in(self):
        token = self.post("/dummy-signin", {"user": self.name, "password": "any", "device": "bench"})["token"]
        self.headers["authorization"] = f"Bearer {token}"

    def raw(self, method, path, body=None):
        self.connection.request(method, path, body, self.headers)
        response = self.connection.getresponse()
        answer = response.read()
        if response.status >= 300:
            raise SystemExit(f"{self.subject.name}: {method} {path}: {response.status} {answer[:300]!r}")
        return answer

    def post(self, path, body):
        return json.loads(self.raw("POST", path, json.dumps(body)))

    def push(self, rows, bundle=1):
        """Uploads one bundle; answers the seconds that it took."""
        chunks = [
            json.dumps({"start_row_ordinal": start, "rows": rows[start : start + CHUNK]})
            for start in range(0, len(rows), CHUNK)
        ]
        self.sign_in()
        begun = time.perf_counter()
        create = {"source_bundle_id": bundle, "planned_row_count": len(rows)}
        session = f"/sync/push-sessions/{self.post('/sync/push-sessions', create)['push_id']}"
        for chunk in chunks:
            self.raw("POST", f"{session}/chunks", chunk)
        self.raw("POST", f"{session}/commit")
        return time.perf_counter() - begun

    def snapshot(self, rows):
        self.sign_in()
        begun = time.perf_counter()
        session = self.post("/sync/snapshot-sessions", {})
        if session["row_count"] != rows:
            raise SystemExit(f"{self.subject.name}: a snapshot of {session['row_count']} rows instead of {rows}")
        path = f"/sync/snapshot-sessions/{session['snapshot_id']}"
        for start in range(0, rows, CHUNK):
            self.raw("GET", f"{path}?after_row_ordinal={start}&max_rows={CHUNK}")
        return time.perf_counter() - begun

    def pull(self):
        self.sign_in()
        begun = time.perf_counter()
        self.raw("GET", "/sync/pull?after_bundle_seq=0&max_bundles=1000")
        return time.perf_counter() - begun


def bundle_rows(count):
    """Half users, half posts of 200 characters."""

    def row(table, payload):
        payload |= {"id": str(uuid.uuid4()), "created_at": STAMP, "updated_at": STAMP}
        key = {"id": payload["id"]}
        return {"schema": "business", "table": table, "key": key, "op": "INSERT", "base_row_version": 0, "payload": payload}

    users = [row("users", {"name": f"user {n}", "email": f"user{n}@example.com"}) for n in range(count // 2)]
    authors = [user["key"]["id"] for user in users]
    text = "x" * 200
    posts = [row("posts", {"title": f"post {n}", "content": text, "author_id": author}) for n, author in enumerate(authors)]
    return users + posts


def speed(subjects, sizes, rounds):
    """Rows a second, larger is better; the ratio is to the peer."""
    for size in sizes:
        found = {}
        for _ in range(rounds):
            for subject in subjects:
                user = subject.user()
                seconds = {"push": user.push(bundle_rows(size)), "snapshot": user.snapshot(size), "pull": user.pull()}
                for work, time_taken in seconds.items():
                    found.setdefault(work, {}).setdefault(subject.name, []).append(size / time_taken)
        for work, by_subject in found.items():
            own, *peer = by_subject.values()
            ratio = statistics.median(a / b for a, b in zip(own, peer[0])) if peer else None
            goal = 3.0 if work != "pull" and peer else None
            peer = statistics.median(peer[0]) if peer else None
            yield measured(f"server: {work} {size:,}", statistics.median(own), "rows/s", peer, ratio, goal)


def measured(name, value, unit, peer=None, ratio=None, goal=None, limit=None):
    ok = (goal is None or ratio >= goal) and (limit is None or value <= limit)
    return {"name": name, "value": value, "unit": unit, "limit": limit, "peer": peer, "ratio": ratio, "goal": goal, "ok": ok}


def large_scope(subject, database_url, rows):
    """What the server's memory grows by while a scope is snapshotted: 16 MiB for what does not grow with the rows."""
    user = subject.user()
    user.snapshot(0)
    sql = f"""BEGIN; SELECT rowtide.begin_bundle('{user.name}', 'bench');
              INSERT INTO business.users (id, name, email, created_at, updated_at)
              SELECT gen_random_uuid(), 'user ' || n, 'user' || n || '@example.com', now(), now() FROM generate_series(1, {rows}) AS n;
              COMMIT"""
    subprocess.run(["psql", "-q", "-v", "ON_ERROR_STOP=1", "-o", "/dev/null", database_url, "-c", sql], check=True)
    subject.forget_peak()
    before = subject.memory("VmRSS")
    seconds = user.snapshot(rows)
    grown = subject.memory("VmHWM") - before
    yield measured(f"server: snapshot {rows:,}", rows / seconds, "rows/s")
    yield measured(f"server: memory grown by a snapshot of {rows:,}", grown, "MiB", limit=16)


async def watchers(subject, count):
    """Memory with idle watch streams, and the time until one commit has woken all of them."""
    user = subject.user()
    headers = "".join(f"{name}: {value}\r\n" for name, value in user.headers.items())
    request = f"GET /sync/watch?after_bundle_seq=0 HTTP/1.1\r\nhost: bench\r\n{headers}\r\n".encode()
    streams = []

    async def watch():
        reader, writer = await asyncio.open_connection(subject.address.hostname, subject.address.port)
        writer.write(request)
        await reader.readuntil(b"\r\n\r\n")
        streams.append((reader, writer))

    for start in range(0, count, 200):
        await asyncio.gather(*(watch() for _ in range(min(200, count - start))))
    memory = subject.memory("VmRSS")
    rows = bundle_rows(2)
    begun = time.perf_counter()
    await asyncio.to_thread(user.push, rows)
    await asyncio.gather(*(reader.readuntil(b"event: bundle") for reader, _ in streams))
    woken = time.perf_counter() - begun
    for _, writer in streams:
        writer.close()
    return [
        measured(f"server: memory with {count:,} idle watchers", memory, "MiB", limit=512),
        measured(f"server: push that wakes {count:,} watchers", woken, "s"),
    ]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--url", required=True)
    parser.add_argument("--pid", required=True)
    parser.add_argument("--database-url", required=True)
    parser.add_argument("--peer-url")
    parser.add_argument("--rows", default="10000,100000")
    parser.add_argument("--large", type=int, default=1_000_000)
    parser.add_argument("--watchers", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json")
    asked = parser.parse_args()
    own = Subject("rowtide", asked.url, asked.pid)
    subjects = [own] + ([Subject("peer", asked.peer_url, None)] if asked.peer_url else [])
    results = []

    def tell(row):
        results.append(row)
        number = lambda value, form: "" if value is None else format(value, form)
        print(
            f"{row['name']:<52} {row['value']:>12,.1f} {row['unit']:<7} peer {number(row['peer'], ',.1f'):>12}"
            f"  ratio {number(row['ratio'], '.2f'):>6}  goal {number(row['goal'] or row['limit'], 'g'):>5}"
            f"  {'' if row['ok'] else 'MISSED'}",
            flush=True,
        )

    for row in asyncio.run(watchers(own, asked.watchers)):
        tell(row)
    for row in speed(subjects, [int(size) for size in asked.rows.split(",")], asked.rounds):
        tell(row)
    for row in large_scope(own, asked.database_url, asked.large):
        tell(row)
    if asked.json:
        with open(asked.json, "w") as file:
            json.dump({"rows": results}, file, indent=1)
    raise SystemExit(0 if all(row["ok"] for row in results) else 1)


if __name__ == "__main__":
    main()
