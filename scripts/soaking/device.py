"""One device: what it writes, what of it was acknowledged, and how it syncs.

Four kinds of rows, each with a promise that can be checked from outside:

  projects, tasks   the device's own; nobody else touches them, so they are exactly what it wrote last
  counters          everybody adds; `sum_of_deltas` and `set_union` must add up to what was acknowledged
  drafts            everybody writes, the client wins: what was written reached the server
  notes, folders, files   everybody writes, the server wins: what was written reached the server or was overruled by it

Each write carries a token that is never used again. Triggers of the app note in `journal`, a table that is not
synchronised, which token took another's place and whether a local write or a sync did it. As they are part of the same
transaction, that record survives every kill. `step` tells whether a killed write was committed, and whether what happens
now is a local write.
"""

import copy
import json
import random

TABLES = ["projects", "tasks", "counters", "drafts", "notes", "folders", "files"]
CONTESTED = ["drafts", "notes", "folders", "files"]

SCHEMA = """
CREATE TABLE projects (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, budget REAL, cover BLOB);
CREATE TABLE tasks (id TEXT PRIMARY KEY NOT NULL, project TEXT NOT NULL REFERENCES projects (id) ON DELETE CASCADE,
    title TEXT NOT NULL, done INTEGER NOT NULL);
CREATE INDEX tasks_by_project ON tasks (project);
CREATE TABLE counters (id TEXT PRIMARY KEY NOT NULL, total INTEGER NOT NULL, labels TEXT NOT NULL);
CREATE TABLE drafts (id TEXT PRIMARY KEY NOT NULL, body TEXT NOT NULL, token TEXT NOT NULL);
CREATE TABLE notes (id TEXT PRIMARY KEY NOT NULL, body TEXT NOT NULL, token TEXT NOT NULL);
CREATE TABLE folders (id TEXT PRIMARY KEY NOT NULL, name TEXT NOT NULL, token TEXT NOT NULL);
CREATE TABLE files (id TEXT PRIMARY KEY NOT NULL, folder TEXT NOT NULL REFERENCES folders (id) ON DELETE CASCADE,
    name TEXT NOT NULL, token TEXT NOT NULL);
CREATE INDEX files_by_folder ON files (folder);
CREATE TABLE step (one INTEGER PRIMARY KEY CHECK (one = 1), n INTEGER NOT NULL, syncing INTEGER NOT NULL);
INSERT INTO step VALUES (1, 0, 1);
CREATE TABLE journal (n INTEGER PRIMARY KEY AUTOINCREMENT, tbl TEXT NOT NULL, key TEXT NOT NULL, old TEXT, new TEXT,
    syncing INTEGER NOT NULL);
"""

CONFIG = """url = "{url}"
schema = "business"
signin_url = "{server}/dummy-signin"
user = "{user}"
password = "any"
[[tables]]
name = "projects"
key = "id"
[[tables]]
name = "tasks"
key = "id"
[[tables]]
name = "counters"
key = "id"
policy = "merge"
[tables.merge]
total = "sum_of_deltas"
labels = "set_union"
[[tables]]
name = "drafts"
key = "id"
policy = "client_wins"
[[tables]]
name = "notes"
key = "id"
[[tables]]
name = "folders"
key = "id"
[[tables]]
name = "files"
key = "id"
"""

# Keys are used again, so that rows, tombstones and files cannot grow without end.
PROJECTS, TASKS, COUNTERS, DRAFTS, NOTES, FOLDERS, FILES = 12, 120, 10, 40, 60, 8, 40

# What an operation may end with: done, not now, no network. With a server that is killed, a sign-in has none either.
EXPECTED_ENDINGS = (0, 3, 5)


class Failed(Exception):
    """Something that must not happen."""


def journal_triggers():
    """What makes the journal, for the tables that everybody writes."""
    rows = {"INSERT": ("NULL", "NEW"), "UPDATE": ("OLD.token", "NEW"), "DELETE": ("OLD.token", "OLD")}
    for table in CONTESTED:
        for event, (old, row) in rows.items():
            new = "NULL" if event == "DELETE" else "NEW.token"
            when = "WHEN OLD.token IS NOT NEW.token" if event == "UPDATE" else ""
            yield (
                f"CREATE TRIGGER journal_{table}_{event.lower()} AFTER {event} ON {table} {when} BEGIN "
                f"INSERT INTO journal (tbl, key, old, new, syncing) "
                f"SELECT '{table}', {row}.id, {old}, {new}, syncing FROM step; END;"
            )


class Device:
    """A database file, and the processes that work on it one after another."""

    def __init__(self, processes, name, user, seed):
        self.processes = processes
        self.name = name
        self.user = user
        self.random = random.Random(seed)
        self.log = open(processes.folder / f"{name}.log", "a", encoding="utf-8")
        self.projects, self.tasks = {}, {}
        self.step = 0
        self.in_doubt = None
        # What was acknowledged: (table, key, token) of writes, numbers and labels of counters.
        self.written, self.added, self.labels = [], [0] * COUNTERS, [[] for _ in range(COUNTERS)]
        self.journal, self.read_journal = [], 0
        self.attached = False
        self.rows_written = 0
        self.reports = []
        self.noise = []

    # Processes

    def command(self, kind, *arguments, may_be_killed=True, **when):
        if may_be_killed and not when and self.random.random() < 0.25:
            when["kill_after"] = self.random.uniform(0, 1.2 * self.processes.took[kind])
        database = ["--json", "--db", f"{self.name}.db", "--config", f"{self.user}.toml"]
        ended = self.processes.run(self.name, kind, database + [kind, *arguments], **when)
        self.note({"command": kind, "killed": ended.killed, "code": ended.code, "out": ended.out[:500]})
        if "panicked" in ended.error:
            raise Failed(f"{self.name}: {kind} panicked: {ended.error[:2000]}")
        if ended.error and ended.code == 0 and len(self.noise) < 20:
            self.noise.append(f"{kind}: {ended.error[:300]}")
        return ended

    def must(self, kind, *arguments, **when):
        """A command that needs no server, so only a kill can keep it from success; it is run again then."""
        while True:
            ended = self.command(kind, *arguments, **when)
            if ended.killed:
                continue
            if ended.code != 0:
                raise Failed(f"{self.name}: {kind} ended with {ended.code}: {ended.error[:2000]}")
            return ended

    def query(self, sql):
        return [json.loads(line) for line in self.must("query", sql).out.splitlines()]

    def create(self, counters):
        """Makes the database; the user's first device brings the counters."""
        self.must("exec", SCHEMA, may_be_killed=False)
        self.must("exec", "\n".join(journal_triggers()), may_be_killed=False)
        self.must("open")
        if counters:
            values = ", ".join(f"('c{number}', 0, '[]')" for number in range(COUNTERS))
            self.must("exec", f"INSERT INTO counters VALUES {values}", may_be_killed=False)

    # Writing

    def token(self):
        return f"{self.name}.{self.step}.{self.random.getrandbits(32):08x}"

    def text(self):
        return "".join(self.random.choice("aä€𝄞 <&\"\\'") for _ in range(self.random.randrange(40)))

    def write(self):
        """One local transaction of a few statements, now and then of many."""
        self.step += 1
        many = self.random.random() < 0.03
        meant = {"projects": copy.copy(self.projects), "tasks": copy.copy(self.tasks), "written": [], "added": []}
        writes = [self.statement(meant) for _ in range(150 if many else self.random.randrange(1, 9))]
        statements = [
            "UPDATE step SET syncing = 0",
            *writes,
            f"DELETE FROM journal WHERE n <= {self.read_journal}",
            f"UPDATE step SET n = {self.step}, syncing = 1",
        ]
        self.note({"step": self.step, "written": meant["written"], "added": meant["added"], "sql": writes})
        meant["rows"] = len(writes)
        self.in_doubt = meant
        ended = self.command("exec", ";\n".join(statements))
        if not ended.killed:
            if ended.code != 0:
                raise Failed(f"{self.name}: exec ended with {ended.code}: {ended.error[:2000]}")
            self.acknowledge("exit status 0")
            self.in_doubt = None

    def settle_doubt(self):
        """Asks the database where it stands: nothing acknowledged may be missing, and what was in doubt gets known."""
        found = self.query("SELECT n FROM step")[0]["n"]
        if self.in_doubt is not None and found == self.step:
            self.acknowledge("committed before the kill")
        elif self.in_doubt is not None and found == self.step - 1:
            self.note({"step": self.step, "committed": False})
            self.step -= 1
        elif found != self.step:
            raise Failed(f"{self.name}: acknowledged step {self.step}, but the database stands at {found}")
        self.in_doubt = None

    def acknowledge(self, how):
        meant = self.in_doubt
        self.projects, self.tasks = meant["projects"], meant["tasks"]
        self.written += meant["written"]
        for number, amount, label in meant["added"]:
            self.added[number] += amount
            if label:
                self.labels[number].append(label)
        self.rows_written += meant["rows"]
        self.note({"step": self.step, "committed": how})

    def note(self, entry):
        self.log.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self.log.flush()

    def statement(self, meant):
        chance = self.random.random()
        if chance < 0.4:
            return self.own_statement(meant)
        if chance < 0.6 and self.attached:
            number, amount = self.random.randrange(COUNTERS), self.random.choice([1, 1, 1, 7, -2])
            label = self.token() if self.random.random() < 0.15 else None
            meant["added"].append((number, amount, label))
            add = f", labels = json_insert(labels, '$[#]', '{label}')" if label else ""
            return f"UPDATE counters SET total = total + {amount}{add} WHERE id = 'c{number}'"
        return self.contested_statement(meant)

    def own_statement(self, meant):
        project = f"{self.name}-p{self.random.randrange(PROJECTS)}"
        task = f"{self.name}-t{self.random.randrange(TASKS)}"
        projects, tasks = meant["projects"], meant["tasks"]
        if project not in projects or self.random.random() < 0.1:
            name, budget = self.text(), self.random.uniform(-1e9, 1e9)
            cover = self.random.randbytes(self.random.choice([0, 3, 16, 200])).hex()
            projects[project] = (name, budget, cover)
            quoted = name.replace("'", "''")
            return (
                f"INSERT INTO projects VALUES ('{project}', '{quoted}', {budget!r}, x'{cover}') ON CONFLICT (id) "
                f"DO UPDATE SET name = excluded.name, budget = excluded.budget, cover = excluded.cover"
            )
        if self.random.random() < 0.03:
            del projects[project]
            for child in [key for key, values in tasks.items() if values[0] == project]:
                del tasks[child]
            return f"DELETE FROM projects WHERE id = '{project}'"
        if self.random.random() < 0.2:
            tasks.pop(task, None)
            return f"DELETE FROM tasks WHERE id = '{task}'"
        if task in tasks and self.random.random() < 0.5:
            tasks[task] = (tasks[task][0], tasks[task][1], 1 - tasks[task][2])
            return f"UPDATE tasks SET done = 1 - done WHERE id = '{task}'"
        title = self.text()
        tasks[task] = (project, title, 0)
        quoted = title.replace("'", "''")
        return (
            f"INSERT INTO tasks VALUES ('{task}', '{project}', '{quoted}', 0) ON CONFLICT (id) "
            f"DO UPDATE SET project = excluded.project, title = excluded.title, done = 0"
        )

    def contested_statement(self, meant):
        table, keys = self.random.choice([("drafts", DRAFTS), ("notes", NOTES), ("folders", FOLDERS), ("files", FILES)])
        key = f"{table[0]}{self.random.randrange(keys)}"
        if self.random.random() < (0.05 if table == "folders" else 0.2):
            return f"DELETE FROM {table} WHERE id = '{key}'"
        token, text = self.token(), self.text().replace("'", "''")
        if table == "files":
            # Writes nothing where the folder is not there, so it is checked by the journal alone.
            folder = f"f{self.random.randrange(FOLDERS)}"
            return (
                f"INSERT INTO files SELECT '{key}', id, '{text}', '{token}' FROM folders WHERE id = '{folder}' "
                f"ON CONFLICT (id) DO UPDATE SET folder = excluded.folder, name = excluded.name, token = excluded.token"
            )
        column = "name" if table == "folders" else "body"
        meant["written"].append((table, key, token))
        return (
            f"INSERT INTO {table} VALUES ('{key}', '{text}', '{token}') ON CONFLICT (id) "
            f"DO UPDATE SET {column} = excluded.{column}, token = excluded.token"
        )

    # Syncing

    def operation(self, kind, *arguments, may_be_killed=True):
        ended = self.command(kind, *arguments, may_be_killed=may_be_killed)
        if ended.killed:
            return None
        if ended.code not in EXPECTED_ENDINGS:
            raise Failed(f"{self.name}: {kind} ended with {ended.code}: {ended.error[:2000]}")
        if ended.code == 5:
            return None
        report = json.loads(ended.out)
        self.reports.append((kind, report))
        return report

    def sync(self):
        """One way of syncing, by chance."""
        if not self.attached:
            report = self.operation("attach", self.user)
            self.attached = report is not None and report["outcome"] != "retry_later"
            return
        kind = self.random.choices(["sync", "push", "pull", "run", "rebuild"], [60, 10, 10, 8, 2])[0]
        if kind != "run":
            self.operation(kind)
            return
        # The automatic loop: uploads, and follows the watch stream, until it is ended or killed.
        seconds = self.random.uniform(0.2, 6)
        when = {"kill_after": seconds} if self.random.random() < 0.5 else {"end_after": seconds}
        ended = self.command("run", "--poll", "2", **when)
        if not ended.killed and ended.code != 0:
            raise Failed(f"{self.name}: run ended with {ended.code}: {ended.error[:2000]}")

    def take_journal(self):
        """Moves the journal out of the database; the next write empties it there."""
        for entry in self.query(f"SELECT * FROM journal WHERE n > {self.read_journal} ORDER BY n"):
            self.journal.append((entry["tbl"], entry["key"], entry["old"], entry["new"], entry["syncing"]))
            self.read_journal = entry["n"]

    def turn(self):
        """One thing that an app does."""
        if self.in_doubt is not None or self.random.random() < 0.02:
            self.settle_doubt()
        elif self.random.random() < 0.5:
            self.write()
        else:
            self.sync()
        if self.random.random() < 0.05:
            self.take_journal()
