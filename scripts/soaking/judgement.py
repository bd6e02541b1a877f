"""What must hold after quiet. Reads the files themselves, with another SQLite than the one that wrote them.

The server's history names every row that ever reached it. With the journals of the devices, which say what took the place
of what, the end of every single acknowledged write is known: it is in the result, a later write of the same device took its
place, it had reached the server before another device changed it, the server's row overruled it where the policy says so,
or it lies in the inbox. Anything else is a lost write.
"""

import collections
import contextlib
import json
import sqlite3

from .device import CONTESTED, COUNTERS, TABLES
from .processes import file_bytes

# A command holds at most a bundle's chunk in memory (1,000 rows or 4 MiB), SQLite's cache (2 MiB for each of a few
# connections) and the program itself; the server also what eight devices ask for at once.
DEVICE_PEAK_KIB = 64 * 1024
SERVER_PEAK_KIB = 96 * 1024
# What has to be empty at rest. Row states (one for each key ever used), managed tables and the attachment stay.
BOOKKEEPING = ["change_log", "dirty_rows", "commits", "outbox", "outbox_rows", "stage", "operation", "selected_rows"]


def connect(path):
    return contextlib.closing(sqlite3.connect(path))


def content(path):
    """All rows of all synchronised tables."""
    with connect(path) as connection:
        return {table: connection.execute(f"SELECT * FROM {table} ORDER BY id").fetchall() for table in TABLES}


class Judgement:
    """Failures, each a sentence, and what was counted on the way."""

    def __init__(self, folder):
        self.folder = folder
        self.failures = []
        self.fates = collections.Counter()

    def demand(self, holds, sentence):
        if not holds:
            self.failures.append(sentence)

    # One file

    def sound(self, name):
        """A database is whole and has nothing left to do."""
        with connect(self.folder / f"{name}.db") as connection:
            broken = connection.execute("PRAGMA integrity_check").fetchall()
            self.demand(broken == [("ok",)], f"{name}: integrity_check says {broken[:3]}")
            dangling = connection.execute("PRAGMA foreign_key_check").fetchall()
            self.demand(not dangling, f"{name}: {len(dangling)} rows break a foreign key")
            for table in BOOKKEEPING:
                rows = connection.execute(f"SELECT count(*) FROM _rowtide_{table}").fetchone()[0]
                self.demand(rows == 0, f"{name}: {rows} rows are left in _rowtide_{table}")

    def bounded(self, device, fresh):
        """Freed pages and tombstones may stay, but no more than the rows themselves need."""
        used, needed = (file_bytes(self.folder / f"{name}.db") for name in (device, fresh))
        self.demand(used <= 2 * needed + (1 << 20), f"{device}: {used} bytes for what a fresh device keeps in {needed}")
        return used

    # One user

    def user(self, user, wire, devices, fresh):
        """All devices of a user, a fresh one and the server agree, and every acknowledged write is accounted for."""
        contents = {name: content(self.folder / f"{name}.db") for name in [device.name for device in devices] + [fresh]}
        truth = contents[fresh]
        for name, found in contents.items():
            for table in TABLES:
                self.demand(found[table] == truth[table], f"{user}: {name} and {fresh} differ in {table}")
            self.sound(name)
        history, live = self.history(user, wire)
        for table in TABLES:
            keys = {row[0] for row in truth[table]}
            self.demand(keys == live[table], f"{user}: the server's file and {fresh} differ in the keys of {table}")
        self.own_rows(user, devices, truth)
        self.counters(user, devices, truth)
        for device in devices:
            self.writes(device, truth, history)
        return sum(len(rows) for rows in truth.values())

    def history(self, user, wire):
        """What reached the server: tokens by table and key (None: a delete), and the keys of its live rows."""
        history, live = collections.defaultdict(set), {table: set() for table in TABLES}
        with connect(self.folder / "server.db") as server:
            scope, floor = server.execute(
                "SELECT scope_id, retained_floor FROM scopes WHERE user_id = ? AND generation = ?", (user, wire)
            ).fetchone()
            self.demand(floor == 0, f"{user}: the history was pruned, so lost writes cannot be told; soak for less long")
            rows = "SELECT t.table_name, r.key, r.op, r.payload FROM bundle_rows AS r JOIN tables AS t USING (table_id) "
            for table, key, operation, payload in server.execute(rows + "WHERE scope_id = ?", (scope,)):
                if table in CONTESTED:
                    history[table, key].add(None if operation == "DELETE" else json.loads(payload)["token"])
            rows = "SELECT t.table_name, r.key FROM rows AS r JOIN tables AS t USING (table_id) "
            for table, key in server.execute(rows + "WHERE scope_id = ? AND NOT deleted", (scope,)):
                live[table].add(key)
        return history, live

    def own_rows(self, user, devices, truth):
        projects, tasks = {}, {}
        for device in devices:
            projects |= device.projects
            tasks |= device.tasks
        found = {row[0]: (row[1], row[2], row[3].hex()) for row in truth["projects"]}
        self.demand(found == projects, f"{user}: projects are not what their devices wrote")
        found = {row[0]: tuple(row[1:]) for row in truth["tasks"]}
        self.demand(found == tasks, f"{user}: tasks are not what their devices wrote")
        self.fates["own rows exactly as written"] += len(projects) + len(tasks)

    def counters(self, user, devices, truth):
        totals = {row[0]: (row[1], json.loads(row[2])) for row in truth["counters"]}
        for number in range(COUNTERS):
            total, labels = totals[f"c{number}"]
            added = sum(device.added[number] for device in devices)
            self.demand(total == added, f"{user}: counter c{number} is {total}, and {added} was acknowledged")
            meant = sorted(label for device in devices for label in device.labels[number])
            self.demand(sorted(labels) == meant, f"{user}: labels of c{number} are not those that were acknowledged")
            self.fates["labels of counters"] += len(meant)

    def writes(self, device, truth, history):
        """The fate of every write of a device to rows that everybody writes."""
        now = {table: {row[0]: row[-1] for row in truth[table]} for table in CONTESTED}
        with connect(self.folder / f"{device.name}.db") as connection:
            inbox = {
                (table, key, json.loads(kept)["token"] if kept else None)
                for table, key, kept in connection.execute("SELECT table_name, key, content FROM _rowtide_inbox")
            }
        self.fates["rows in an inbox at the end"] += len(inbox)
        entries = collections.defaultdict(list)
        for table, key, old, new, syncing in device.journal:
            entries[table, key].append((old, new, syncing))
        local = {(*place, new) for place, found in entries.items() for _, new, syncing in found if not syncing}
        for write in device.written:
            self.demand(write in local, f"{device.name}: acknowledged {write} never was in the database")
        for (table, key), found in entries.items():
            for index, (old, new, syncing) in enumerate(found):
                if syncing:
                    continue
                after = found[index + 1] if index + 1 < len(found) else None
                lost = self.fate(table, new, old, after, history[table, key], now[table].get(key))
                if lost and (table, key, new) in inbox:
                    lost = None
                    self.fates["in the inbox"] += 1
                self.demand(not lost, f"{device.name}: {table} {key}, {new or 'a delete'}: {lost}")

    def fate(self, table, new, old, after, reached, now):
        """What became of one write (`new` is None for a delete); a sentence where it was lost."""
        if after is None:
            self.fates["in the result"] += 1
            return None if new == now else f"nothing took its place, but the result has {now}"
        if after[0] != new:
            return f"{after[0]} was replaced after it"
        if not after[2]:
            self.fates["replaced by a later write of the device"] += 1
            return None
        if after[1] not in reached:
            return f"replaced by {after[1]}, which the server never had"
        if new in reached:
            self.fates["reached the server, changed by another device"] += 1
            return None
        if new is None and old not in reached:
            # Written and deleted before the server heard of it: there was nothing to tell.
            self.fates["came and went on the device"] += 1
            return None
        if new is None and after[1] == old and table in ("drafts", "notes"):
            return "the delete was undone"
        if table == "drafts":
            return "overruled, and the client wins here"
        self.fates["overruled by the server's row"] += 1
        return None

    # All processes

    def server(self):
        """Its file is whole, and as large as its rows make it."""
        path = self.folder / "server.db"
        with connect(path) as connection:
            broken = connection.execute("PRAGMA integrity_check").fetchall()
            self.demand(broken == [("ok",)], f"the server: integrity_check says {broken[:3]}")
            rows = size = 0
            for table in ("rows", "bundle_rows", "push_rows", "snapshot_rows"):
                count, length = connection.execute(f"SELECT count(*), total(length(payload)) FROM {table}").fetchone()
                rows, size = rows + count, size + int(length)
            bundles = connection.execute("SELECT count(*) FROM bundles").fetchone()[0]
        # Keys, versions and hashes beside the payloads, and B-tree pages that are two thirds full.
        allowed = 2 * (size + 120 * rows + 400 * bundles) + (1 << 20)
        used = file_bytes(path)
        self.demand(used <= allowed, f"the server's file has {used} bytes, its rows explain {allowed}")
        return {"bytes": used, "rows_of_history": rows, "bundles": bundles}

    def memory(self, peaks):
        """No process is larger than its work explains, and none gets larger as time goes by."""
        for kind, thirds in peaks.items():
            limit = SERVER_PEAK_KIB if kind == "serve" else DEVICE_PEAK_KIB
            self.demand(max(thirds) <= limit, f"{kind} took {max(thirds)} KiB of memory, more than {limit}")
            grown = thirds[2] > 1.5 * thirds[0] + 8192 and thirds[0] > 0
            self.demand(not grown, f"{kind} grew from {thirds[0]} to {thirds[2]} KiB of memory")
