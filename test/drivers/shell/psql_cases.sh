#!/bin/sh
# psql: the cases of the driver matrix. Usage: psql_cases.sh transaction|session; the connection is in PG* variables.
export PGCONNECT_TIMEOUT=10
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
code=0

# check NAME WANTED [psql's arguments]: the output must be WANTED
check() {
  name=$1 wanted=$2
  shift 2
  seen=$(psql -XAtq "$@" 2>&1)
  if [ "$seen" = "$wanted" ]; then
    echo "ok $name"
  else
    code=1
    echo "FAIL $name $(echo "$seen" | tr '\n' ' ' | head -c 300), not $(echo "$wanted" | tr '\n' ' ')"
  fi
}

echo "version $(psql --version | awk '{ print $3 }') server $(psql -XAtc 'SHOW server_version')"
psql -Xq -c 'SET client_min_messages = error; DROP TABLE IF EXISTS rows_psql; CREATE TABLE rows_psql (a int PRIMARY KEY, b text)'

check describe 'a|integer|not null' -c "SELECT attname, format_type(atttypid, atttypmod), CASE WHEN attnotnull THEN 'not null' END FROM pg_attribute WHERE attrelid = 'rows_psql'::regclass AND attnum = 1"
check transaction '1' -c 'BEGIN' -c "INSERT INTO rows_psql VALUES (1, 'one')" -c 'SAVEPOINT inside' -c "INSERT INTO rows_psql VALUES (2, 'two')" -c 'ROLLBACK TO inside' -c 'COMMIT' -c 'SELECT count(*) FROM rows_psql'
check error_in_transaction 'ERROR:  division by zero
ERROR:  current transaction is aborted, commands ignored until end of transaction block' -c 'BEGIN' -c 'SELECT 1/0' -c 'SELECT 1' -c 'ROLLBACK'
check error_after 'ERROR:  relation "no_such_table" does not exist
LINE 1: SELECT * FROM no_such_table
                      ^
7' -c 'SELECT * FROM no_such_table' -c 'SELECT 7'
seq 1000 5999 | sed 's/$/\trow/' >"$folder/rows"
check copy_in '5000' -c "\\copy rows_psql from '$folder/rows'" -c 'SELECT count(*) FROM rows_psql WHERE a >= 1000'
check copy_in_fails 'ERROR:  invalid input syntax for type integer: "no number"
CONTEXT:  COPY rows_psql, line 1, column a: "no number"
1' -c "\\copy rows_psql from program 'echo no number'" -c 'SELECT 1'
psql -XAtq -c "\\copy (select * from rows_psql where a >= 1000 order by a) to '$folder/out'"
if cmp -s "$folder/rows" "$folder/out"; then echo 'ok copy_out'; else code=1 && echo 'FAIL copy_out the file differs'; fi
# psql sends a cancel request when it is interrupted; before the query sleeps there is nothing to cancel
psql -XAtq -c 'SELECT pg_sleep(20)' >"$folder/cancelled" 2>&1 &
sleeping="SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'"
while kill -0 $! && [ "$(psql -XAtqc "SELECT EXISTS ($sleeping)")" != t ]; do :; done
kill -INT $!
wait $!
seen=$(cat "$folder/cancelled")
case $seen in
  *'canceling statement due to user request'*) echo 'ok cancel' ;;
  *) code=1 && echo "FAIL cancel $seen" ;;
esac
bytes=$(psql -XAtqc 'SELECT repeat(chr(97 + n % 26), 10000) FROM generate_series(1, 1000) AS n' | wc -c)
if [ "$bytes" -eq 10001000 ]; then echo 'ok large_result'; else code=1 && echo "FAIL large_result $bytes bytes"; fi
check notify '' -c "NOTIFY driver_matrix, 'nobody listens'"
psql -XAtq -c 'LISTEN driver_matrix' -c "NOTIFY driver_matrix, 'hello'" 2>&1 | grep -q 'notification "driver_matrix" with payload "hello"' &&
  echo 'ok listen' || { code=1 && echo 'FAIL listen no notification'; }
if [ "$1" = session ]; then
  check prepared '8' -c 'PREPARE mine AS SELECT $1::int + 1' -c 'EXECUTE mine(7)'
  check set_parameter '7MB' -c "SET work_mem = '7MB'" -c 'SHOW work_mem'
  check temp_table '1' -c 'CREATE TEMP TABLE kept (a int)' -c 'INSERT INTO kept VALUES (1)' -c 'SELECT count(*) FROM kept'
fi
exit $code
