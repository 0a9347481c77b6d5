#!/bin/sh
# pgbench: the cases of the driver matrix. Usage: pgbench_cases.sh transaction|session; the connection is in PG* variables.
export PGCONNECT_TIMEOUT=10
code=0

# check NAME [pgbench's arguments]: every transaction must succeed
check() {
  name=$1
  shift
  seen=$(pgbench -n "$@" 2>&1)
  case $seen in
    *'aborted'*) failed=yes ;;
    *'number of failed transactions: 0 '*) failed= ;;
    *) failed=yes ;;
  esac
  if [ -z "$failed" ]; then
    echo "ok $name"
  else
    code=1
    echo "FAIL $name $(echo "$seen" | grep -i error | head -3 | tr '\n' ' ')"
  fi
}

echo "version $(pgbench --version | awk '{ print $3 }') server $(psql -XAtc 'SHOW server_version')"
if pgbench -i -s 1 -q >/dev/null 2>&1; then echo 'ok initialize'; else code=1 && echo 'FAIL initialize'; fi
# A thread for each client: pgbench waits for the answer to a Prepare and serves none of the thread's other clients
# meanwhile, so one thread with more clients than the pool has links stands still once they are all in transactions.
for mode in simple extended prepared; do
  check "select_$mode" -M $mode -S -c 8 -j 8 -t 50
  check "transactions_$mode" -M $mode -c 8 -j 8 -t 25
done
check reconnecting -M prepared -S -C -c 4 -j 4 -t 10
exit $code
