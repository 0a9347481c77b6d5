# Sessions whose statements stay prepared while the schema changes. Usage: SECONDS SESSIONS; the tally is one line of JSON.
import json
import sys
import threading
import time

import psycopg

TEXTS = (
    "SELECT * FROM shape WHERE id = %s",
    "SELECT s.*, %s::int AS n FROM shape s WHERE id = 1",
    "SELECT s.*, %s::int8 AS n FROM shape s ORDER BY id",
)
# the pace of an application. At full speed the sessions of the fastest driver keep the links from the others', which then meet fewer changes
PACE_SECONDS = 0.01
INT4, INT8, TEXT = 23, 20, 25
INT, LONG = 0x41424344, 0x4142434445464748
# what each kind of row is decoded as, with the types' oids; the kind is in the row itself
ROWS = {
    "int4": ((INT,), (INT4,)),
    "text": (("ABCD",), (TEXT,)),
    "int8": ((LONG,), (INT8,)),
    "wider": ((LONG, 5), (INT8, INT4)),
    "renamed": ((LONG, 5), (INT8, INT4)),
}


class Tally:
    def __init__(self):
        self.lock = threading.Lock()
        self.counts = dict.fromkeys(("rows", "fresh", "inBlocks", "refused", "refusedFresh", "refusedAgain"), 0)
        self.wrong, self.failed = [], []

    def count(self, name, by=1):
        with self.lock:
            self.counts[name] += by


def changes(conn):
    return conn.execute("SELECT n FROM changes", prepare=False).fetchone()[0]


def read(tally, conn, text):
    cursor = conn.cursor(binary=True)
    cursor.execute(text, (1,), prepare=True)
    types = tuple(column.type_code for column in cursor.description)
    for row in cursor:
        values, oids = ROWS.get(row[1], ((), ()))
        end = len(row) if text == TEXTS[0] else -1
        if row[2:end] != values or types[2:end] != oids:
            tally.wrong.append(f"psycopg: {row} with types {types} of {text}")
        tally.count("rows")


def once(tally, conn, text, block):
    """Runs it, in a transaction block or not. Answers how many changes there were before, and whether it was refused."""
    if block:
        conn.execute("BEGIN", prepare=False)
    before, refused = changes(conn), False
    try:
        read(tally, conn, text)
    except psycopg.errors.FeatureNotSupported:
        tally.count("refused")
        refused = True
    if block:
        # of a block that has failed it is a ROLLBACK
        conn.execute("COMMIT", prepare=False)
    return before, refused


def old(tally, until):
    with psycopg.connect("", autocommit=True) as conn:
        # how many changes there were when each text was refused last beyond doubt
        known, turn = {}, 0
        while time.monotonic() < until:
            text = TEXTS[turn % len(TEXTS)]
            before, refused = once(tally, conn, text, turn % 4 == 0)
            if refused:
                after = changes(conn)
                if known.get(text) == after:
                    tally.count("refusedAgain")
                known[text] = after if before == after else None
            turn += 1
            time.sleep(PACE_SECONDS)


def fresh(tally, until):
    turn = 0
    while time.monotonic() < until:
        block = turn % 2 == 0
        with psycopg.connect("", autocommit=True) as conn:
            tally.count("fresh")
            tally.count("inBlocks", int(block))
            before, refused = once(tally, conn, TEXTS[turn % len(TEXTS)], block)
            # what is in a block holds its locks: nothing can have changed since it was prepared
            if refused and (block or before == changes(conn)):
                tally.count("refusedFresh")
        turn += 1
        time.sleep(PACE_SECONDS)


def main():
    seconds, sessions = int(sys.argv[1]), int(sys.argv[2])
    until, tally = time.monotonic() + seconds, Tally()

    def run(work):
        try:
            work(tally, until)
        except Exception as error:
            tally.failed.append(f"psycopg: {error}")

    threads = [threading.Thread(target=run, args=(work,)) for work in [old] * sessions + [fresh]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps({**tally.counts, "wrong": tally.wrong[:5], "failed": tally.failed[:5]}))


main()
