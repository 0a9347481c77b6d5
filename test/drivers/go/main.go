// pgx v5: the cases of the driver matrix. Usage: pgx transaction|session; the connection is in PG* variables.
package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"reflect"
	"runtime/debug"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	table       = "rows_pgx"
	large       = "SELECT n, repeat(chr(97 + n % 26), 10000) AS b FROM generate_series(1, 1000) AS n"
	largeBytes  = 10_000_000
	sleeping    = "SELECT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep')"
	caseTimeout = 30 * time.Second
)

type namedCase struct {
	name string
	run  func(context.Context, *pgx.Conn) error
}

func connect(ctx context.Context) (*pgx.Conn, error) {
	config, err := pgx.ParseConfig("")
	if err != nil {
		return nil, err
	}
	config.ConnectTimeout = 10 * time.Second
	return pgx.ConnectConfig(ctx, config)
}

func check(seen, wanted any) error {
	if reflect.DeepEqual(seen, wanted) {
		return nil
	}
	return fmt.Errorf("%v, not %v", seen, wanted)
}

func fails(err error, wanted string) error {
	var answer *pgconn.PgError
	if !errors.As(err, &answer) {
		return fmt.Errorf("%v, not %s", err, wanted)
	}
	return check(answer.Code, wanted)
}

type querier interface {
	QueryRow(context.Context, string, ...any) pgx.Row
}

// one checks the one value of the one row of a query.
func one[T any](ctx context.Context, on querier, wanted T, text string, values ...any) error {
	var seen T
	if err := on.QueryRow(ctx, text, values...).Scan(&seen); err != nil {
		return fmt.Errorf("%s: %w", text, err)
	}
	return check(seen, wanted)
}

func driverVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, module := range info.Deps {
			if module.Path == "github.com/jackc/pgx/v5" {
				return strings.TrimPrefix(module.Version, "v")
			}
		}
	}
	return "unknown"
}

func runOne(one namedCase, conn *pgx.Conn) error {
	ctx, stop := context.WithTimeout(context.Background(), caseTimeout)
	defer stop()
	return one.run(ctx, conn)
}

func main() {
	if os.Args[1] == "plans" {
		os.Exit(plans(os.Args[2:]))
	}
	ctx := context.Background()
	conn, err := connect(ctx)
	if err == nil {
		_, err = conn.Exec(ctx, "DROP TABLE IF EXISTS "+table+"; CREATE TABLE "+table+" (a int PRIMARY KEY, b text)")
	}
	if err != nil {
		fmt.Println("FAIL connect", err)
		os.Exit(1)
	}
	fmt.Println("version", driverVersion(), "server", conn.PgConn().ParameterStatus("server_version"))
	every := transactionCases
	if os.Args[1] == "session" {
		every = append(every, sessionCases...)
	}
	code := 0
	for _, one := range every {
		if err := runOne(one, conn); err != nil {
			code = 1
			fmt.Println("FAIL", one.name, strings.ReplaceAll(err.Error(), "\n", " "))
			continue
		}
		fmt.Println("ok", one.name)
	}
	os.Exit(code)
}

var sessionCases = []namedCase{
	{"set_parameter", func(ctx context.Context, conn *pgx.Conn) error {
		if _, err := conn.Exec(ctx, "SET work_mem = '7MB'"); err != nil {
			return err
		}
		for range 5 {
			if err := one(ctx, conn, "7MB", "SHOW work_mem"); err != nil {
				return err
			}
		}
		_, err := conn.Exec(ctx, "RESET work_mem")
		return err
	}},
	{"temp_table", func(ctx context.Context, conn *pgx.Conn) error {
		for _, text := range []string{"CREATE TEMP TABLE kept (a int)", "INSERT INTO kept VALUES (1)"} {
			if _, err := conn.Exec(ctx, text); err != nil {
				return err
			}
		}
		return one(ctx, conn, 1, "SELECT count(*)::int FROM kept")
	}},
}

func listen(ctx context.Context, conn *pgx.Conn) error {
	other, err := connect(ctx)
	if err != nil {
		return err
	}
	defer other.Close(ctx)
	if _, err := conn.Exec(ctx, "LISTEN driver_matrix"); err != nil {
		return err
	}
	if _, err := other.Exec(ctx, "SELECT pg_notify('driver_matrix', $1)", "hello"); err != nil {
		return err
	}
	heard, err := conn.WaitForNotification(ctx)
	if err != nil {
		return err
	}
	return check(heard.Channel+" "+heard.Payload, "driver_matrix hello")
}

var copied = bytes.Repeat([]byte("x"), 100)
