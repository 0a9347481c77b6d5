"""asyncpg: the cases of the driver matrix. Usage: asyncpg_cases.py transaction|session; the connection is in PG* variables."""
import asyncio
import io
import sys

import asyncpg
from cases import LARGE, LARGE_BYTES, check, fails, run_cases, until_sleeping

TABLE = "rows_asyncpg"


async def connect():
    return await asyncpg.connect(timeout=10)


async def main(mode):
    connection = await connect()
    await connection.execute(f"DROP TABLE IF EXISTS {TABLE}")
    await connection.execute(f"CREATE TABLE {TABLE} (a int PRIMARY KEY, b text)")

    async def parameters():
        check(await connection.fetchval("SELECT $1::text", "ü €"), "ü €")
        check(await connection.fetchval("SELECT $1::int[]", [1, 2]), [1, 2])
        check(await connection.fetchval("SELECT $1::int8", 1 << 40), 1 << 40)

    async def prepared():
        others = [await connect() for _ in range(4)]
        statements = []
        for other in others:
            statement = await other.prepare("SELECT $1::int + 1")
            # prepare() ends with Flush, not Sync: the link is not free for others before the first use
            check(await statement.fetchval(0), 1)
            statements.append(statement)
        for number in range(20):
            for statement in statements:
                check(await statement.fetchval(number), number + 1)
        # more statements than are kept: the oldest are closed
        for number in range(120):
            check(await connection.fetchval(f"SELECT $1::int + {number}", 1), number + 1)
        check(await connection.fetchval("SELECT $1::int + 0", 1), 1)
        for other in others:
            await other.close()

    async def unknown_types():
        await connection.execute("CREATE TYPE mood AS ENUM ('sad', 'ok')")
        try:
            check(await connection.fetchval("SELECT $1::mood", "ok"), "ok")
            check(await connection.fetchval("SELECT ARRAY['ok'::mood]"), ["ok"])
        finally:
            await connection.execute("DROP TYPE mood")

    async def execute_many():
        await connection.executemany(f"INSERT INTO {TABLE} VALUES ($1, $2)", [(number, "many") for number in range(100, 600)])
        check(await connection.fetchval(f"SELECT count(*) FROM {TABLE} WHERE b = 'many'"), 500)
        await connection.execute(f"DELETE FROM {TABLE}")

    async def transaction():
        async with connection.transaction():
            await connection.execute(f"INSERT INTO {TABLE} VALUES ($1, $2)", 1, "one")
            try:
                async with connection.transaction():
                    await connection.execute(f"INSERT INTO {TABLE} VALUES (2, 'two')")
                    raise ValueError
            except ValueError:
                pass
        try:
            async with connection.transaction():
                await connection.execute(f"INSERT INTO {TABLE} VALUES (3, 'three')")
                raise ValueError
        except ValueError:
            pass
        check(await connection.fetchval(f"SELECT array_agg(a) FROM {TABLE}"), [1])

    async def error_in_transaction():
        transaction = connection.transaction()
        await transaction.start()
        await fails(connection.fetchval("SELECT 1/$1::int", 0), "22012")
        await fails(connection.fetchval("SELECT 1"), "25P02")
        await transaction.rollback()

    async def error_after():
        await fails(connection.fetch("SELECT * FROM no_such_table"), "42P01")
        await fails(connection.execute(f"INSERT INTO {TABLE} VALUES ($1, 'again')", 1), "23505")
        check(await connection.fetchval("SELECT $1::int", 7), 7)

    async def server_cursor():
        async with connection.transaction():
            cursor = await connection.cursor("SELECT generate_series(1, 25)")
            check([len(await cursor.fetch(10)) for _ in range(4)], [10, 10, 5, 0])

    async def copy_in():
        rows = ((number, "x" * 100) for number in range(1000, 6000))
        check(await connection.copy_records_to_table(TABLE, records=rows), "COPY 5000")
        check(await connection.fetchval(f"SELECT count(*) FROM {TABLE} WHERE a >= 1000"), 5000)

    async def copy_in_fails():
        await fails(connection.copy_to_table(TABLE, source=io.BytesIO(b"no number\tx\n")), "22P02")
        check(await connection.fetchval("SELECT 1"), 1)

    async def copy_out():
        target = io.BytesIO()
        await connection.copy_from_query(f"SELECT * FROM {TABLE} WHERE a >= $1", 1000, output=target)
        check(target.getvalue().count(b"\n"), 5000)

    async def cancel():
        # asyncpg sends a cancel request when the task is cancelled
        other = await connect()
        running = asyncio.create_task(connection.fetchval("SELECT pg_sleep(20)"))
        await until_sleeping(other.fetchval)
        running.cancel()
        await asyncio.wait([running])
        check(running.cancelled(), True)
        check(await asyncio.wait_for(connection.fetchval("SELECT 1"), 5), 1)
        await other.close()

    async def large_result():
        check(sum(len(row[1]) for row in await connection.fetch(LARGE)), LARGE_BYTES)

    async def notify():
        await connection.execute("NOTIFY driver_matrix, 'nobody listens'")

    async def set_parameter():
        await connection.execute("SET work_mem = '7MB'")
        for _ in range(5):
            check(await connection.fetchval("SHOW work_mem"), "7MB")
        await connection.execute("RESET work_mem")

    async def temp_table():
        await connection.execute("CREATE TEMP TABLE kept (a int)")
        await connection.execute("INSERT INTO kept VALUES (1)")
        check(await connection.fetchval("SELECT count(*) FROM kept"), 1)

    async def listen():
        other = await connect()
        heard = asyncio.get_running_loop().create_future()
        await connection.add_listener("driver_matrix", lambda _connection, _pid, channel, payload: heard.set_result((channel, payload)))
        await other.execute("SELECT pg_notify('driver_matrix', 'hello')")
        check(await asyncio.wait_for(heard, 10), ("driver_matrix", "hello"))
        await other.close()

    every = [parameters, prepared, unknown_types, execute_many, transaction, error_in_transaction, error_after, server_cursor]
    every += [copy_in, copy_in_fails, copy_out, cancel, large_result, notify, listen]
    if mode == "session":
        every += [set_parameter, temp_table]
    server = connection.get_settings().server_version
    await run_cases(asyncpg.__version__, server, {case.__name__: case for case in every})


asyncio.run(main(sys.argv[1]))
