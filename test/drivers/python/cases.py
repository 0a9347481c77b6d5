"""Runs the cases of a driver one by one and prints `ok NAME` or `FAIL NAME why` for each."""
import asyncio
import sys
import traceback

LARGE = "SELECT n, repeat(chr(97 + n % 26), 10000) AS b FROM generate_series(1, 1000) AS n"
LARGE_BYTES = 10_000_000
SLEEPING = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')"
CASE_SECONDS = 30


def check(seen, wanted):
    """Fails unless both are equal."""
    if seen != wanted:
        raise AssertionError(f"{seen!r}, not {wanted!r}")


async def fails(attempt, wanted):
    """Fails unless `attempt` fails with this SQLSTATE."""
    try:
        await attempt
    except Exception as error:
        if not hasattr(error, "sqlstate"):
            raise
        check(error.sqlstate, wanted)
    else:
        raise AssertionError(f"no error, not {wanted}")


async def until_sleeping(ask):
    """Waits until a query in this database sleeps: before that there is none to cancel. `ask` gives a query's one value."""
    while not await ask(SLEEPING):
        pass


async def run_cases(driver, server_version, cases):
    """Prints the versions, runs the cases, and ends the program with 1 when one fails."""
    print(f"version {driver} server {server_version}")
    failed = False
    for name, case in cases.items():
        try:
            await asyncio.wait_for(case(), CASE_SECONDS)
            print(f"ok {name}", flush=True)
        except BaseException as error:
            failed = True
            told = " ".join(f"{type(error).__name__}: {error}".split())
            print(f"FAIL {name} {told}", flush=True)
            traceback.print_exc()
    # a connection that hangs must not keep the program
    sys.stdout.flush()
    sys.stderr.flush()
    import os

    os._exit(1 if failed else 0)
