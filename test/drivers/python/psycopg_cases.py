"""psycopg 3: the cases of the driver matrix. Usage: psycopg_cases.py transaction|session; the connection is in PG* variables."""
import asyncio
import sys

import psycopg
from cases import LARGE, LARGE_BYTES, check, fails, run_cases, until_sleeping

TABLE = "rows_psycopg"


async def connect():
    return await psycopg.AsyncConnection.connect("connect_timeout=10", autocommit=True)


async def one(connection, text, values=None, **options):
    cursor = await connection.execute(text, values, **options)
    return (await cursor.fetchone())[0]


async def main(mode):
    connection = await connect()
    await connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    await connection.execute(f"CREATE TABLE {TABLE} (a int PRIMARY KEY, b text)")

    async def parameters():
        check(await one(connection, "SELECT %s::text", ["ü €"]), "ü €")
        check(await one(connection, "SELECT %s::int[]", [[1, 2]]), [1, 2])
        check(await one(connection, "SELECT %b::int8", [1 << 40]), 1 << 40)

    async def prepared():
        others = [await connect() for _ in range(4)]
        for number in range(20):
            for other in others:
                check(await one(other, "SELECT %s::int + 1", [number], prepare=True), number + 1)
        # more statements than are kept: the oldest are deallocated
        for number in range(120):
            check(await one(connection, f"SELECT %s::int + {number}", [1], prepare=True), number + 1)
        check(await one(connection, "SELECT %s::int + 0", [1], prepare=True), 1)
        for other in others:
            await other.close()

    async def pipeline():
        async with connection.pipeline():
            cursors = [await connection.execute("SELECT %s::int", [number]) for number in range(100)]
            check([(await cursor.fetchone())[0] for cursor in cursors], list(range(100)))

    async def transaction():
        async with connection.transaction():
            await connection.execute(f"INSERT INTO {TABLE} VALUES (%s, %s)", [1, "one"])
            try:
                async with connection.transaction():
                    await connection.execute(f"INSERT INTO {TABLE} VALUES (2, 'two')")
                    raise psycopg.Rollback()
            except psycopg.Rollback:
                pass
        try:
            async with connection.transaction():
                await connection.execute(f"INSERT INTO {TABLE} VALUES (3, 'three')")
                raise ValueError
        except ValueError:
            pass
        check(await one(connection, f"SELECT array_agg(a) FROM {TABLE}"), [1])

    async def error_in_transaction():
        await connection.execute("BEGIN")
        await fails(connection.execute("SELECT 1/%s::int", [0], prepare=True), "22012")
        await fails(connection.execute("SELECT 1"), "25P02")
        await connection.execute("ROLLBACK")

    async def error_after():
        await fails(connection.execute("SELECT * FROM no_such_table", prepare=True), "42P01")
        await fails(connection.execute(f"INSERT INTO {TABLE} VALUES (%s, 'again')", [1]), "23505")
        check(await one(connection, "SELECT %s::int", [7], prepare=True), 7)

    async def server_cursor():
        async with connection.transaction():
            async with connection.cursor(name="some") as cursor:
                await cursor.execute("SELECT generate_series(1, 25)")
                check([len(await cursor.fetchmany(10)) for _ in range(4)], [10, 10, 5, 0])

    async def copy_in():
        async with connection.cursor() as cursor:
            async with cursor.copy(f"COPY {TABLE} FROM STDIN") as copy:
                for number in range(1000, 6000):
                    await copy.write_row((number, "x" * 100))
        check(await one(connection, f"SELECT count(*) FROM {TABLE} WHERE a >= 1000"), 5000)

    async def copy_in_fails():
        async def bad():
            async with connection.cursor() as cursor:
                async with cursor.copy(f"COPY {TABLE} FROM STDIN") as copy:
                    await copy.write("no number\tx\n")

        await fails(bad(), "22P02")
        check(await one(connection, "SELECT 1"), 1)

    async def copy_out():
        rows = 0
        async with connection.cursor() as cursor:
            async with cursor.copy(f"COPY (SELECT * FROM {TABLE} WHERE a >= 1000) TO STDOUT") as copy:
                async for row in copy.rows():
                    check(len(row), 2)
                    rows += 1
        check(rows, 5000)

    async def cancel():
        other = await connect()
        running = asyncio.create_task(fails(connection.execute("SELECT pg_sleep(20)"), "57014"))
        await until_sleeping(lambda text: one(other, text))
        await connection.cancel_safe(timeout=5)
        await running
        check(await one(connection, "SELECT 1"), 1)
        await other.close()

    async def large_result():
        cursor = await connection.execute(LARGE, binary=True)
        check(sum(len(row[1]) for row in await cursor.fetchall()), LARGE_BYTES)

    async def notify():
        await connection.execute("NOTIFY driver_matrix, 'nobody listens'")

    async def set_parameter():
        await connection.execute("SET work_mem = '7MB'")
        for _ in range(5):
            check(await one(connection, "SHOW work_mem"), "7MB")
        await connection.execute("RESET work_mem")

    async def temp_table():
        await connection.execute("CREATE TEMP TABLE kept (a int)")
        await connection.execute("INSERT INTO kept VALUES (1)")
        check(await one(connection, "SELECT count(*) FROM kept"), 1)

    async def listen():
        other = await connect()
        await connection.execute("LISTEN driver_matrix")
        await other.execute("SELECT pg_notify('driver_matrix', 'hello')")
        async for notice in connection.notifies(timeout=10, stop_after=1):
            check((notice.channel, notice.payload), ("driver_matrix", "hello"))
            break
        else:
            raise AssertionError("no notification")
        await other.close()

    every = [parameters, prepared, pipeline, transaction, error_in_transaction, error_after, server_cursor]
    every += [copy_in, copy_in_fails, copy_out, cancel, large_result, notify, listen]
    if mode == "session":
        every += [set_parameter, temp_table]
    server = connection.info.parameter_status("server_version")
    await run_cases(psycopg.__version__, server, {case.__name__: case for case in every})


asyncio.run(main(sys.argv[1]))
