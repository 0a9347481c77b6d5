// The cases that hold in transaction mode too.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
)

var transactionCases = []namedCase{
	{"parameters", parameters},
	{"prepared", prepared},
	{"exec_modes", execModes},
	{"batch", batch},
	{"transaction", transaction},
	{"error_in_transaction", errorInTransaction},
	{"error_after", errorAfter},
	{"copy_in", copyIn},
	{"copy_in_fails", copyInFails},
	{"copy_out", copyOut},
	{"cancel", cancel},
	{"large_result", largeResult},
	{"notify", notify},
	{"listen", listen},
}

func parameters(ctx context.Context, conn *pgx.Conn) error {
	return errors.Join(
		one(ctx, conn, "ü €", "SELECT $1::text", "ü €"),
		one(ctx, conn, []int32{1, 2}, "SELECT $1::int[]", []int32{1, 2}),
		one(ctx, conn, int64(1)<<40, "SELECT $1::int8", int64(1)<<40),
	)
}

func prepared(ctx context.Context, conn *pgx.Conn) error {
	var others []*pgx.Conn
	for range 4 {
		other, err := connect(ctx)
		if err != nil {
			return err
		}
		defer other.Close(ctx)
		if _, err := other.Prepare(ctx, "mine", "SELECT $1::int + 1"); err != nil {
			return err
		}
		others = append(others, other)
	}
	for number := range 20 {
		for _, other := range others {
			if err := one(ctx, other, number+1, "mine", number); err != nil {
				return err
			}
		}
	}
	if err := others[0].Deallocate(ctx, "mine"); err != nil {
		return err
	}
	if _, err := others[0].Prepare(ctx, "mine", "SELECT $1::int + 2"); err != nil {
		return err
	}
	if err := errors.Join(one(ctx, others[0], 3, "mine", 1), one(ctx, others[1], 2, "mine", 1)); err != nil {
		return err
	}
	// more statements than the driver keeps (512): the oldest are closed
	for number := range 600 {
		if err := one(ctx, conn, number+1, fmt.Sprintf("SELECT $1::int + %d", number), 1); err != nil {
			return err
		}
	}
	return one(ctx, conn, 1, "SELECT $1::int + 0", 1)
}

func execModes(ctx context.Context, conn *pgx.Conn) error {
	modes := []pgx.QueryExecMode{
		pgx.QueryExecModeCacheStatement, pgx.QueryExecModeCacheDescribe, pgx.QueryExecModeDescribeExec,
		pgx.QueryExecModeExec, pgx.QueryExecModeSimpleProtocol,
	}
	for _, mode := range modes {
		for number := range 5 {
			if err := one(ctx, conn, number, "SELECT $1::int", mode, number); err != nil {
				return fmt.Errorf("%v: %w", mode, err)
			}
		}
	}
	return nil
}

func batch(ctx context.Context, conn *pgx.Conn) error {
	queued := &pgx.Batch{}
	for number := range 100 {
		queued.Queue("SELECT $1::int", number)
	}
	answers := conn.SendBatch(ctx, queued)
	for number := range 100 {
		if err := one(ctx, batchRow{answers}, number, ""); err != nil {
			return err
		}
	}
	return answers.Close()
}

type batchRow struct{ answers pgx.BatchResults }

func (b batchRow) QueryRow(context.Context, string, ...any) pgx.Row { return b.answers.QueryRow() }

func transaction(ctx context.Context, conn *pgx.Conn) error {
	undone := errors.New("undone")
	err := pgx.BeginFunc(ctx, conn, func(outer pgx.Tx) error {
		if _, err := outer.Exec(ctx, "INSERT INTO "+table+" VALUES ($1, $2)", 1, "one"); err != nil {
			return err
		}
		inner := pgx.BeginFunc(ctx, outer, func(inner pgx.Tx) error {
			_, err := inner.Exec(ctx, "INSERT INTO "+table+" VALUES (2, 'two')")
			return errors.Join(err, undone)
		})
		if !errors.Is(inner, undone) {
			return inner
		}
		return nil
	})
	if err != nil {
		return err
	}
	err = pgx.BeginFunc(ctx, conn, func(outer pgx.Tx) error {
		_, err := outer.Exec(ctx, "INSERT INTO "+table+" VALUES (3, 'three')")
		return errors.Join(err, undone)
	})
	if !errors.Is(err, undone) {
		return err
	}
	return one(ctx, conn, []int32{1}, "SELECT array_agg(a) FROM "+table)
}

func errorInTransaction(ctx context.Context, conn *pgx.Conn) error {
	begun, err := conn.Begin(ctx)
	if err != nil {
		return err
	}
	_, first := begun.Exec(ctx, "SELECT 1/$1::int", 0)
	_, second := begun.Exec(ctx, "SELECT 1")
	return errors.Join(fails(first, "22012"), fails(second, "25P02"), begun.Rollback(ctx))
}

func errorAfter(ctx context.Context, conn *pgx.Conn) error {
	_, first := conn.Exec(ctx, "SELECT * FROM no_such_table WHERE a = $1", 1)
	_, second := conn.Exec(ctx, "INSERT INTO "+table+" VALUES ($1, 'again')", 1)
	return errors.Join(fails(first, "42P01"), fails(second, "23505"), one(ctx, conn, 7, "SELECT $1::int", 7))
}

func copyIn(ctx context.Context, conn *pgx.Conn) error {
	source := pgx.CopyFromSlice(5000, func(index int) ([]any, error) { return []any{1000 + index, string(copied)}, nil })
	rows, err := conn.CopyFrom(ctx, pgx.Identifier{table}, []string{"a", "b"}, source)
	return errors.Join(err, check(rows, int64(5000)), one(ctx, conn, 5000, "SELECT count(*)::int FROM "+table+" WHERE a >= 1000"))
}

func copyInFails(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.PgConn().CopyFrom(ctx, strings.NewReader("no number\tx\n"), "COPY "+table+" FROM STDIN")
	return errors.Join(fails(err, "22P02"), one(ctx, conn, 1, "SELECT 1"))
}

func copyOut(ctx context.Context, conn *pgx.Conn) error {
	var target bytes.Buffer
	_, err := conn.PgConn().CopyTo(ctx, &target, "COPY (SELECT * FROM "+table+" WHERE a >= 1000) TO STDOUT")
	return errors.Join(err, check(bytes.Count(target.Bytes(), []byte("\n")), 5000))
}

func cancel(ctx context.Context, conn *pgx.Conn) error {
	watcher, err := connect(ctx)
	if err != nil {
		return err
	}
	defer watcher.Close(ctx)
	asked := make(chan error, 1)
	go func() {
		// before it sleeps there is nothing to cancel
		for asleep := false; !asleep; {
			if err := watcher.QueryRow(ctx, sleeping).Scan(&asleep); err != nil {
				asked <- err
				return
			}
		}
		asked <- conn.PgConn().CancelRequest(ctx)
	}()
	_, err = conn.Exec(ctx, "SELECT pg_sleep(20)")
	return errors.Join(fails(err, "57014"), <-asked, one(ctx, conn, 1, "SELECT 1"))
}

func largeResult(ctx context.Context, conn *pgx.Conn) error {
	rows, err := conn.Query(ctx, large)
	if err != nil {
		return err
	}
	bytes := 0
	for rows.Next() {
		var number int
		var text string
		if err := rows.Scan(&number, &text); err != nil {
			return err
		}
		bytes += len(text)
	}
	return errors.Join(rows.Err(), check(bytes, largeBytes))
}

func notify(ctx context.Context, conn *pgx.Conn) error {
	_, err := conn.Exec(ctx, "NOTIFY driver_matrix, 'nobody listens'")
	return err
}
